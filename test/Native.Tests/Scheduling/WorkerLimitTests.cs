using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class WorkerLimitTests
{
    private const long Start = 1000;

    [Fact]
    public void There_are_as_many_as_may_be()
    {
        WorkerLimit limit = new(2, onReached: null);
        Assert.True(limit.TryAdd());
        Assert.True(limit.TryAdd());
        Assert.False(limit.TryAdd());
        Assert.Equal(2, limit.Count);
        limit.Remove();
        Assert.True(limit.TryAdd());
        Assert.False(limit.TryAdd());
        Assert.Equal(0, limit.Reached);
    }

    [Fact]
    public void Threads_that_come_and_go_at_once_do_not_exceed_it()
    {
        const int Maximum = 3;
        WorkerLimit limit = new(Maximum, onReached: null);
        int inside = 0, most = 0;
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 5_000; i++)
            {
                if (!limit.TryAdd())
                {
                    Thread.Yield();
                    continue;
                }

                InterlockedMax(ref most, Interlocked.Increment(ref inside));
                Interlocked.Decrement(ref inside);
                limit.Remove();
            }
        }) { IsBackground = true })];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.JoinInTime());
        Assert.InRange(most, 1, Maximum);
        Assert.Equal(0, limit.Count);
    }

    [Fact]
    public void Reaching_it_is_counted_once_for_each_turn_and_reported_once_per_interval()
    {
        using SemaphoreSlim reported = new(0);
        int reports = 0;
        WorkerLimit limit = new(5, _ =>
        {
            Interlocked.Increment(ref reports);
            reported.Release();
        });
        limit.OnReached(null, again: false, Start);
        limit.OnReached(null, again: true, Start);
        limit.OnReached(null, again: false, Start + WorkerLimit.ReportIntervalNanoseconds - 1);
        Assert.True(reported.Wait(Patience.Limit));

        limit.OnReached(null, again: true, Start + WorkerLimit.ReportIntervalNanoseconds);
        Assert.True(reported.Wait(Patience.Limit));
        limit.OnReached(null, again: false, Start + WorkerLimit.ReportIntervalNanoseconds + 1);
        limit.OnReached(null, again: false, Start + (2 * WorkerLimit.ReportIntervalNanoseconds));
        Assert.True(reported.Wait(Patience.Limit));
        Assert.Equal(3, reports);
        Assert.Equal(4, limit.Reached);
    }

    [Fact]
    public void A_report_says_what_is_the_matter_on_the_thread_pool()
    {
        using ManualResetEventSlim reported = new();
        WorkerLimitReached? report = null;
        bool onThreadPool = false;
        WorkerLimit limit = new(5, reached =>
        {
            report = reached;
            onThreadPool = Thread.CurrentThread.IsThreadPoolThread;
            reported.Set();
        });
        Assert.True(limit.TryAdd());
        ThreadStateException refusal = new();
        limit.OnReached(refusal, again: false, Start);
        reported.WaitInTime("it is reported");
        Assert.Equal(new WorkerLimitReached(1, 5, refusal), report);
        Assert.True(onThreadPool);
    }

    [Fact]
    public void Nobody_need_be_told()
    {
        WorkerLimit limit = new(0, onReached: null);
        Assert.False(limit.TryAdd());
        limit.OnReached(null, again: false, Start);
        Assert.Equal(1, limit.Reached);
    }

    /// <summary>Unhandled on a thread of the pool, it would end this process.</summary>
    [Fact]
    public void Whoever_is_told_may_throw()
    {
        using SemaphoreSlim told = new(0);
        WorkerLimit limit = new(1, _ =>
        {
            told.Release();
            throw new InvalidOperationException("on purpose");
        });
        for (int i = 1; i <= 2; i++)
        {
            limit.OnReached(null, again: false, i * WorkerLimit.ReportIntervalNanoseconds);
            Assert.True(told.Wait(Patience.Limit));
        }
    }

    private static void InterlockedMax(ref int target, int value)
    {
        int seen = Volatile.Read(ref target);
        while (seen < value)
        {
            int found = Interlocked.CompareExchange(ref target, value, seen);
            if (found == seen)
            {
                return;
            }

            seen = found;
        }
    }
}
