using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>A long write whose reader keeps up never has to wait. It hears all the same of what ends it.</summary>
public sealed class EagerReaderTests
{
    private const int Length = 1_000_000;
    private const int CallOfTheEnd = 100;

    public enum WriteEnd
    {
        Token,
        Deadline,
        Close,
    }

    public static TheoryData<WriteEnd, bool> Ends
    {
        get
        {
            TheoryData<WriteEnd, bool> data = [];
            foreach (WriteEnd end in Enum.GetValues<WriteEnd>())
            {
                data.Add(end, false);
                data.Add(end, true);
            }

            return data;
        }
    }

    [Theory(Timeout = Waits.Limit)]
    [MemberData(nameof(Ends))]
    public async Task What_ends_a_write_ends_also_one_that_never_waits(WriteEnd end, bool gather)
    {
        EagerKernel kernel = new();
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, kernel);
        await using PipePair pipe = new(runtime);
        using CancellationTokenSource cancellation = new();
        kernel.WhenTaken = () => runtime.Groups[0].Schedule(pipe.Write.Descriptor.Poll!.Wake(PollMode.Write));
        kernel.AtTheEnd = () =>
        {
            switch (end)
            {
                case WriteEnd.Token:
                    cancellation.Cancel();
                    break;
                case WriteEnd.Deadline:
                    pipe.Write.SetWriteDeadline(DateTimeOffset.UtcNow - TimeSpan.FromSeconds(1));
                    break;
                default:
                    pipe.Write.Dispose();
                    break;
            }
        };

        Func<Task> write = gather
            ? async () => await pipe.Write.WriteAsync([new byte[Length / 2], new byte[Length / 2]], cancellation.Token)
            : async () => await pipe.Write.WriteAsync(new byte[Length], cancellation.Token);
        switch (end)
        {
            case WriteEnd.Token:
                await Assert.ThrowsAnyAsync<OperationCanceledException>(write);
                break;
            case WriteEnd.Deadline:
                Assert.InRange((await Assert.ThrowsAsync<DeadlineExceededException>(write)).BytesWritten, CallOfTheEnd, Length - 1);
                break;
            default:
                await Assert.ThrowsAsync<ObjectDisposedException>(write);
                break;
        }

        Assert.InRange(kernel.Calls, CallOfTheEnd, Length - 1);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_an_end_everything_is_written(bool gather)
    {
        EagerKernel kernel = new();
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, kernel);
        await using PipePair pipe = new(runtime);
        const int Few = 1_000;
        long written = gather
            ? await pipe.Write.WriteAsync([new byte[Few / 2], ReadOnlyMemory<byte>.Empty, new byte[Few / 2]])
            : await pipe.Write.WriteAsync(new byte[Few]);
        Assert.Equal((Few, Few), (written, kernel.Calls));
    }

    /// <summary>Each write takes one byte, which nobody ever sees.</summary>
    private sealed class EagerKernel : SystemCalls
    {
        private int _calls;
        private int _wakeUp;

        internal int Calls => Volatile.Read(ref _calls);

        internal Action? AtTheEnd { get; set; }

        internal Action? WhenTaken { get; set; }

        protected internal override SyscallResult EventFdOnce(uint initial, int flags)
        {
            SyscallResult result = base.EventFdOnce(initial, flags);
            _wakeUp = result.Value;
            return result;
        }

        protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer) =>
            fd == _wakeUp ? base.WriteOnce(fd, buffer) : TakeOne();

        protected internal override SyscallResult WritevOnce(int fd, ReadOnlySpan<iovec> buffers) => TakeOne();

        private SyscallResult TakeOne()
        {
            // The reader has made room, and the kernel says so.
            WhenTaken?.Invoke();
            if (Interlocked.Increment(ref _calls) == CallOfTheEnd)
            {
                AtTheEnd?.Invoke();
            }

            return SyscallResult.Success(1);
        }
    }
}
