using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>After all is done, the engine is as empty as before: no registration, no timer, no waiter, no descriptor.</summary>
public sealed class LeftoverTests
{
    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Nothing_stays_behind(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        Poller poller = runtime.Groups[0].Poller;
        for (int round = 0; round < 5; round++)
        {
            PipePair[] pipes = [.. Enumerable.Range(0, 50).Select(_ => new PipePair(runtime))];
            Assert.Equal(100, runtime.GetStatistics().OpenDescriptors);
            await Task.WhenAll(pipes.Select(async (pipe, i) =>
            {
                pipe.Read.SetReadDeadline(Moments.Later);
                pipe.Write.SetWriteDeadline(Moments.Later);
                Task<byte[]> read = pipe.Read.ReadSomeAsync();
                switch (i % 4)
                {
                    case 0:
                        await pipe.Write.WriteAsync(new byte[1]);
                        Assert.Single(await read);
                        break;
                    case 1:
                        pipe.Read.SetReadDeadline(Moments.Past);
                        await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
                        break;
                    case 2:
                        pipe.Write.Dispose();
                        Assert.Empty(await read);
                        break;
                    default:
                        pipe.Read.Dispose();
                        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
                        break;
                }

                Assert.False(IsReading(pipe.Read));
                await pipe.DisposeAsync();
            }));

            Assert.Equal(0, runtime.GetStatistics().OpenDescriptors);
            Assert.Equal(0, poller.Deadlines.Count);
        }

        // Slots are reused, not added.
        Assert.Equal(256, poller.Table.Capacity);
        Assert.Equal(0, runtime.GetStatistics().FailedTurns);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_runtime_takes_its_own_descriptors_with_it()
    {
        CountingSystemCalls systemCalls = new();
        NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 2 }, systemCalls);
        await using (PipePair pipe = new(runtime))
        {
            await pipe.Write.WriteAsync(new byte[1]);
            Assert.Single(await pipe.Read.ReadSomeAsync());
        }

        runtime.Dispose();
        runtime.Dispose();

        // The pipe's two, epoll's and the wake-up's.
        Assert.Equal(4, systemCalls.Closes);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_file_can_be_closed_after_its_runtime()
    {
        NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        PipePair pipe = new(runtime);
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        runtime.Dispose();

        await pipe.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
    }

    // Is a read still going on? It holds the lock of its direction to its end.
    private static bool IsReading(NetpollFile file)
    {
        DescriptorLifetime.LockResult result = file.Descriptor.Lifetime.TryLock(PollMode.Read);
        if (result == DescriptorLifetime.LockResult.Acquired)
        {
            file.Descriptor.Unlock(PollMode.Read);
        }

        return result == DescriptorLifetime.LockResult.Busy;
    }

    private sealed class CountingSystemCalls : SystemCalls
    {
        private int _closes;

        internal int Closes => Volatile.Read(ref _closes);

        protected internal override SyscallResult CloseOnce(int fd)
        {
            Interlocked.Increment(ref _closes);
            return base.CloseOnce(fd);
        }
    }
}
