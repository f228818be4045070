using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>How many workers there may be.</summary>
public sealed partial class WorkerLimitTests
{
    private const long Start = 1000;
    private const int Initial = 2;

    private readonly FakeResources _resources = new();

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

    [Fact]
    public void What_the_system_has_no_room_for_is_refused_and_the_reason_is_told()
    {
        using ManualResetEventSlim reported = new();
        WorkerLimitReached? report = null;
        WorkerLimit limit = Create(1000, reached =>
        {
            report = reached;
            reported.Set();
        });
        SetThreads(limit, most: 120, others: 22);
        Assert.Equal(120 - 24 - 30, Grow(limit, Start));
        Assert.Equal(68, limit.Count);
        Assert.False(limit.HasRoom);
        limit.OnReached(null, again: false, Start);
        reported.WaitInTime("it is reported");
        Assert.Equal(
            new WorkerLimitReached(68, 1000, null, "90 of 120 threads (pids.max) are in use, 30 are left to the rest of the process"), report);
    }

    [Fact]
    public void Those_that_the_runtime_begins_with_are_never_too_many()
    {
        _resources.SetThreads(10, 10);
        WorkerLimit limit = Create(1000);
        Assert.Equal(Initial, limit.Count);
        Assert.Equal(0, _resources.Looks);
        Assert.False(limit.TryGrow(Start));
        Assert.True(limit.TryAdd());
    }

    [Fact]
    public void The_maximum_counts_as_well()
    {
        WorkerLimit limit = Create(Initial + 3);
        Assert.Equal(3, Grow(limit, Start));
        Assert.False(limit.HasRoom);
    }

    /// <summary>Raised or lowered, or others have come or gone.</summary>
    [Fact]
    public void A_limit_that_changes_is_followed()
    {
        WorkerLimit limit = Create(1000);
        SetThreads(limit, most: 40, others: 22);
        Assert.Equal(3, Grow(limit, Start));

        SetThreads(limit, most: 400, others: 22);
        Assert.False(limit.TryGrow(Start + WorkerLimit.LookIntervalNanoseconds - 1));
        Assert.Equal(400 - 27 - 100, Grow(limit, Start + WorkerLimit.LookIntervalNanoseconds));

        // As many workers end instead of becoming spares as there are too many.
        SetThreads(limit, most: 400, others: 32);
        long lowered = Start + (2 * WorkerLimit.LookIntervalNanoseconds);
        Assert.False(limit.TryShed(lowered));
        Assert.False(limit.TryGrow(lowered));
        Assert.Equal(10, Shed(limit, lowered));
    }

    /// <summary>They end in their own time, others end meanwhile because nobody needs them, and the monitor looks again.</summary>
    [Fact]
    public void No_more_workers_end_than_there_are_too_many()
    {
        WorkerLimit limit = Create(1000);
        SetThreads(limit, most: 400, others: 22);
        int count = Initial + Grow(limit, Start);
        SetThreads(limit, most: 400, others: 32);
        long now = Start + WorkerLimit.LookIntervalNanoseconds;
        Assert.False(limit.TryGrow(now));

        // Some are about to end, and some have ended, for want of work.
        limit.OnLeaving();
        limit.Remove(wasLeaving: true);
        limit.OnLeaving();
        limit.Remove();
        for (int i = 0; i < 3; i++)
        {
            Assert.True(limit.TryShed(now));
        }

        // Looked at again before any of them has ended.
        now += WorkerLimit.LookIntervalNanoseconds;
        Assert.False(limit.TryGrow(now));
        Assert.Equal(4, Shed(limit, now));
        for (int i = 0; i < 7; i++)
        {
            limit.Remove(wasLeaving: true);
            Assert.False(limit.TryShed(now));
        }

        Assert.Equal(count - 9, limit.Count);
    }

    /// <summary>If none has come to end for long, nobody knows whether there are still too many.</summary>
    [Fact]
    public void What_a_look_has_found_does_not_count_for_ever()
    {
        WorkerLimit limit = Create(1000);
        SetThreads(limit, most: 400, others: 22);
        Grow(limit, Start);
        SetThreads(limit, most: 400, others: 32);
        long now = Start + WorkerLimit.LookIntervalNanoseconds;
        Assert.False(limit.TryGrow(now));
        Assert.True(limit.TryShed(now + WorkerLimit.FirstHoldNanoseconds - 1));
        Assert.False(limit.TryShed(now + WorkerLimit.FirstHoldNanoseconds));
    }

    [Fact]
    public void It_does_not_look_more_often_than_it_has_to()
    {
        WorkerLimit limit = Create(1000);
        SetThreads(limit, most: 1000, others: 22);
        for (int i = 0; i < 100; i++)
        {
            Assert.True(limit.TryGrow(Start + i));
        }

        Assert.Equal(1, _resources.Looks);
        Assert.True(limit.TryGrow(Start + WorkerLimit.LookIntervalNanoseconds));
        Assert.Equal(2, _resources.Looks);
        SetThreads(limit, most: 100, others: 22);
        long full = Start + (2 * WorkerLimit.LookIntervalNanoseconds);
        for (int i = 0; i < 100; i++)
        {
            Assert.False(limit.TryGrow(full + i));
        }

        Assert.Equal(3, _resources.Looks);
    }

    [Fact]
    public void While_nothing_can_be_found_out_none_is_added()
    {
        using ManualResetEventSlim reported = new();
        WorkerLimitReached? report = null;
        WorkerLimit limit = Create(1000, reached =>
        {
            report = reached;
            reported.Set();
        });
        SetThreads(limit, most: 40, others: 22);
        Assert.True(limit.TryGrow(Start));
        _resources.IsReadable = false;
        long now = Start + WorkerLimit.LookIntervalNanoseconds;
        Assert.False(limit.TryGrow(now));
        Assert.False(limit.HasRoom);
        Assert.False(limit.TryShed(now));
        limit.OnReached(null, again: false, now);
        reported.WaitInTime("it is reported");
        Assert.Equal(_resources.Obstacle, report!.Bound);
        _resources.IsReadable = true;
        Assert.Equal(2, Grow(limit, now + WorkerLimit.LookIntervalNanoseconds));
    }

    private WorkerLimit Create(int maximum, Action<WorkerLimitReached>? onReached = null)
    {
        WorkerLimit limit = new(maximum, onReached, new WorkerHeadroom(_resources, processorCount: 2));
        for (int i = 0; i < Initial; i++)
        {
            Assert.True(limit.TryAdd());
        }

        return limit;
    }

    private void SetThreads(WorkerLimit limit, long most, long others) =>
        _resources.ReadThreads = () => new ResourceReading(most, others + limit.Count, "pids.max");

    private static int Grow(WorkerLimit limit, long now)
    {
        int grown = 0;
        while (limit.TryGrow(now))
        {
            grown++;
        }

        return grown;
    }

    private static int Shed(WorkerLimit limit, long now)
    {
        int shed = 0;
        while (shed < 1000 && limit.TryShed(now))
        {
            shed++;
        }

        return shed;
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
