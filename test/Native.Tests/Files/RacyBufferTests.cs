using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// Once an operation has ended, however it ended, its buffer is the caller's: nothing is written into it, nothing sent from it any more.
/// Ten callers share a file whose deadline keeps passing.
/// </summary>
public sealed class RacyBufferTests
{
    private const int Callers = 10;
    private const int Operations = 100;

    // Never sent by anybody: where it turns up, or goes missing, a buffer was touched too late.
    private const byte Mine = 0xEE;

    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(1);

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Reads_leave_the_buffer_alone_afterwards(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        await using PipePair pipe = new(runtime);
        bool stop = false;
        Task<long> writer = Task.Run(async () =>
        {
            long written = 0;
            while (!Volatile.Read(ref stop))
            {
                byte[] data = FileExtensions.Pattern(64, (int)written);
                data.AsSpan().Replace(Mine, (byte)0);
                written += await pipe.Write.WriteAsync(data);

                // Mostly slower than the readers, so that they wait and run into the deadline.
                if (written % 1024 == 0)
                {
                    await Task.Delay(1);
                }
            }

            return written;
        });

        long[] read = await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            byte[] buffer = new byte[128];
            long total = 0;
            for (int i = 0; i < Operations; i++)
            {
                try
                {
                    pipe.Read.SetReadDeadline(Moments.In(Short));
                    int count = await pipe.Read.ReadAsync(buffer);
                    total += count;
                    Assert.DoesNotContain(Mine, buffer.AsSpan(0, count).ToArray());
                }
                catch (DeadlineExceededException)
                {
                }

                buffer.AsSpan().Fill(Mine);
                await Task.Yield();
                Thread.SpinWait(50);
                Assert.Equal(-1, buffer.AsSpan().IndexOfAnyExcept(Mine));
            }

            return total;
        })));

        Volatile.Write(ref stop, true);
        pipe.Read.SetReadDeadline(null);
        Task<byte[]> rest = pipe.Read.ReadToEndAsync();
        long written = await writer;
        pipe.Write.Dispose();
        Assert.Equal(written, read.Sum() + (await rest).Length);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Writes_leave_the_buffer_alone_afterwards(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        await using PipePair pipe = new PipePair(runtime).Shrink();
        Task<byte[]> reader = Task.Run(async () =>
        {
            MemoryStream all = new();
            byte[] buffer = new byte[8 * 1024];
            int read;
            while ((read = await pipe.Read.ReadAsync(buffer)) != 0)
            {
                all.Write(buffer, 0, read);
                Thread.SpinWait(500);
            }

            return all.ToArray();
        });

        long[] written = await Task.WhenAll(Enumerable.Range(1, Callers).Select(caller => Task.Run(async () =>
        {
            byte[] buffer = new byte[10_000];
            long total = 0;
            for (int i = 0; i < Operations; i++)
            {
                buffer.AsSpan().Fill((byte)caller);
                try
                {
                    pipe.Write.SetWriteDeadline(Moments.In(Short));
                    total += await pipe.Write.WriteAsync(buffer);
                }
                catch (DeadlineExceededException exception)
                {
                    total += exception.BytesWritten;
                }

                buffer.AsSpan().Fill(Mine);
            }

            return total;
        })));

        pipe.Write.Dispose();
        byte[] received = await reader;
        Assert.Equal(-1, received.AsSpan().IndexOf(Mine));
        for (int caller = 1; caller <= Callers; caller++)
        {
            Assert.Equal(written[caller - 1], received.LongCount(value => value == caller));
        }
    }
}
