using System.Diagnostics;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// A deadline never comes early, however short or long. How late it comes is the machine's business, and not asserted.
/// </summary>
public sealed class DeadlineFluctuationTests
{
    // The public API takes wall-clock time, in ticks of 100 ns, which is turned into monotonic time: one tick may be lost at each end.
    private static readonly TimeSpan Resolution = TimeSpan.FromTicks(2);

    public static TheoryData<double> Milliseconds => [0.001, 0.01, 0.1, 0.5, 1, 1.5, 2, 5, 10, 25, 50, 100, 250, 500, 1000];

    [Theory(Timeout = Waits.Limit)]
    [MemberData(nameof(Milliseconds))]
    public async Task A_waiting_read_is_never_ended_early(double milliseconds)
    {
        await using PipePair pipe = new();
        for (int i = 0; i < RoundsFor(milliseconds); i++)
        {
            await AssertNotEarlyAsync(
                TimeSpan.FromMilliseconds(milliseconds), pipe.Read.SetReadDeadline, () => pipe.Read.ReadAsync(new byte[1]));
        }
    }

    [Theory(Timeout = Waits.Limit)]
    [MemberData(nameof(Milliseconds))]
    public async Task A_waiting_write_is_never_ended_early(double milliseconds)
    {
        await using PipePair pipe = new();
        pipe.Fill();
        for (int i = 0; i < RoundsFor(milliseconds); i++)
        {
            await AssertNotEarlyAsync(
                TimeSpan.FromMilliseconds(milliseconds), pipe.Write.SetWriteDeadline, () => pipe.Write.WriteAsync(new byte[1]));
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Deadlines_that_overtake_each_other_come_in_their_order()
    {
        // Each is set earlier than all before it: every one of them has to move the sleeping poller.
        const int Count = 20;
        PipePair[] pipes = [.. Enumerable.Range(0, Count).Select(_ => new PipePair())];
        long[] ended = new long[Count];
        long start = Stopwatch.GetTimestamp();
        Task[] reads = [.. pipes.Select(async (pipe, i) =>
        {
            pipe.Read.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(5 * (Count - i))));
            await Assert.ThrowsAsync<DeadlineExceededException>(() => pipe.Read.ReadSomeAsync());
            ended[i] = Stopwatch.GetTimestamp();
        })];

        await Task.WhenAll(reads);
        for (int i = 0; i < Count; i++)
        {
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start, ended[i]);
            Assert.True(elapsed + Resolution >= TimeSpan.FromMilliseconds(5 * (Count - i)), $"number {i} after {elapsed}");
            await pipes[i].DisposeAsync();
        }
    }

    private static int RoundsFor(double milliseconds) => milliseconds <= 5 ? 20 : 1;

    private static async Task AssertNotEarlyAsync(TimeSpan delay, Action<DateTimeOffset?> setDeadline, Func<ValueTask<int>> start)
    {
        long started = Stopwatch.GetTimestamp();
        setDeadline(DateTimeOffset.UtcNow + delay);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => start().AsTask());
        TimeSpan elapsed = Stopwatch.GetElapsedTime(started);

        Assert.True(elapsed + Resolution >= delay, $"It came {delay - elapsed} early.");
    }
}
