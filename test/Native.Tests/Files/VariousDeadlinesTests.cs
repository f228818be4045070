using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// Deadlines of every size end a reader that never has to wait, because an endless writer feeds it; closing then ends the writer.
/// </summary>
public sealed class VariousDeadlinesTests
{
    private const long Microsecond = 1_000;
    private const long Millisecond = 1_000 * Microsecond;

    // Nanoseconds on the monotonic clock, which is what a deadline becomes; a DateTimeOffset cannot express less than 100 of them.
    private static readonly long[] Delays =
    [
        1, 2, 5, 10, 100, 500,
        Microsecond, 2 * Microsecond, 10 * Microsecond, 50 * Microsecond, 100 * Microsecond, 500 * Microsecond,
        Millisecond, 5 * Millisecond, 20 * Millisecond, 50 * Millisecond, 100 * Millisecond, 500 * Millisecond,
        1_000 * Millisecond,
    ];

    [Slow]
    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Deadlines_of_every_size_end_a_busy_reader(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        foreach (long delay in Delays)
        {
            for (int round = 0; round < (delay < 100 * Millisecond ? 3 : 1); round++)
            {
                await using PipePair pipe = new(runtime);
                Task writer = Task.Run(() => WriteEndlesslyAsync(pipe.Write));
                long due = MonotonicClock.Now + delay;
                pipe.Read.Descriptor.SetDeadline(PollMode.Read, due);
                await Task.Run(() => ReadUntilDeadlineAsync(pipe.Read));
                Assert.True(MonotonicClock.Now >= due);

                pipe.Read.Dispose();
                await writer;
            }
        }

        Assert.Equal(0, runtime.GetStatistics().OpenDescriptors);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Deadlines_of_every_size_end_waiting_readers_at_once(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        await Task.WhenAll(Delays.Reverse().Select(async delay =>
        {
            await using PipePair pipe = new(runtime);
            long due = MonotonicClock.Now + delay;
            pipe.Read.Descriptor.SetDeadline(PollMode.Read, due);
            await ReadUntilDeadlineAsync(pipe.Read);
            Assert.True(MonotonicClock.Now >= due);
        }));
    }

    private static async Task WriteEndlesslyAsync(NetpollFile file)
    {
        byte[] chunk = new byte[4096];
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (true)
            {
                await file.WriteAsync(chunk);
            }
        });
    }

    private static async Task ReadUntilDeadlineAsync(NetpollFile file)
    {
        byte[] buffer = new byte[4096];
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (true)
            {
                Assert.NotEqual(0, await file.ReadAsync(buffer));
            }
        });
    }
}
