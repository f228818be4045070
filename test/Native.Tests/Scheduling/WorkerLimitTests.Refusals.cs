using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <content>After the system has refused a thread, and the reserve of those that must not wait.</content>
public sealed partial class WorkerLimitTests
{
    [Fact]
    public void A_refused_thread_leaves_threads_to_others_for_a_while_and_longer_each_time()
    {
        using ManualResetEventSlim reported = new();
        WorkerLimitReached? report = null;
        WorkerLimit limit = Create(1000, reached =>
        {
            report = reached;
            reported.Set();
        });
        for (int i = 0; i < 100; i++)
        {
            Assert.True(limit.TryGrow(Start));
        }

        long now = Start;
        long hold = WorkerLimit.FirstHoldNanoseconds;
        for (int round = 0; round < 8; round++)
        {
            limit.OnRefused(now);
            Assert.False(limit.TryGrow(now + 1));

            // 16, and one for each of two processors.
            for (int i = 0; i < 18; i++)
            {
                Assert.True(limit.TryShed(now + 1));
                limit.Remove(wasLeaving: true);
            }

            Assert.False(limit.TryShed(now + 1));
            Assert.False(limit.TryGrow(now + hold - 1));
            now += hold;
            for (int i = 0; i < 18; i++)
            {
                Assert.True(limit.TryGrow(now));
            }

            hold = Math.Min(hold * 2, WorkerLimit.LongestHoldNanoseconds);
        }

        limit.OnRefused(now);
        limit.OnReached(null, again: false, now);
        reported.WaitInTime("it is reported");
        Assert.Equal("the system has refused a thread when there were 102", report!.Bound);

        // Long afterwards it is the first time again.
        now += 3 * WorkerLimit.LongestHoldNanoseconds;
        Assert.True(limit.TryGrow(now));
        limit.OnRefused(now);
        Assert.False(limit.TryGrow(now + WorkerLimit.FirstHoldNanoseconds - 1));
        Assert.True(limit.TryGrow(now + WorkerLimit.FirstHoldNanoseconds));
    }

    [Fact]
    public void The_reserve_is_not_taken_while_a_refused_thread_counts()
    {
        const int Maximum = 50;
        WorkerLimit limit = new(Maximum, onReached: null);
        Assert.True(limit.TryAdd());
        Assert.True(limit.TryGrow(Start));
        Assert.True(limit.TryExceedRoom());

        limit.OnRefused(Start);
        Assert.False(limit.TryGrow(Start + 1));
        Assert.False(limit.TryExceedRoom());

        Assert.True(limit.TryGrow(Start + WorkerLimit.FirstHoldNanoseconds));
        Assert.True(limit.TryExceedRoom());
    }

    [Fact]
    public void The_reserve_is_not_taken_while_nobody_knows_what_there_is()
    {
        WorkerLimit limit = Create(50);
        _resources.IsReadable = false;
        Assert.False(limit.TryGrow(Start));
        Assert.False(limit.TryExceedRoom());
    }
}
