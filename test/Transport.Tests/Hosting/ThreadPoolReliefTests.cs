using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Hosting;

// Uses up the threads of the pool, which all tests of the process share.
[Collection(nameof(Alone))]
[OneMode]
public class ThreadPoolReliefTests
{
    [Fact]
    public void A_pool_that_runs_nothing_gets_more_threads_until_the_stop_is_over()
    {
        ThreadPool.GetMinThreads(out int before, out int completionPorts);
        using var release = new ManualResetEvent(false);
        using var ended = new CountdownEvent(1);
        var relief = new ThreadPoolRelief(TimeSpan.FromMilliseconds(50));
        BlockPool(release, ended);

        try
        {
            using var ran = new ManualResetEvent(false);
            ThreadPool.UnsafeQueueUserWorkItem(_ => ran.Set(), null);
            relief.Begin();
            relief.Begin();
            Assert.True(ran.WaitOne(Patience.Limit));
            Assert.True(MinThreads() > before, "The pool has found its threads without help.");
        }
        finally
        {
            release.Set();
            ended.Signal();
            Assert.True(ended.Wait(Patience.Limit));
            relief.End();
        }

        Assert.True(SpinWait.SpinUntil(static () => ThreadPool.PendingWorkItemCount == 0, Patience.Limit));
        Assert.True(SpinWait.SpinUntil(() => MinThreads() == before, Patience.Limit));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_last_of_several_hosts_that_stop_leaves_the_minimum_as_the_first_has_found_it(bool firstEndsFirst)
    {
        int before = MinThreads();
        var minimum = new ThreadPoolMinimum();
        minimum.Enter();
        minimum.Raise(before + 5);
        Assert.Equal(before + 5, MinThreads());
        minimum.Enter();
        if (firstEndsFirst)
        {
            minimum.Raise(before + 7);
        }

        int raised = MinThreads();
        minimum.Leave();
        Assert.Equal(raised, MinThreads());
        minimum.Raise(before + 9);
        Assert.Equal(before + 9, MinThreads());
        minimum.Leave();
        Assert.Equal(before, MinThreads());
    }

    [Fact]
    public void What_the_application_sets_meanwhile_stays()
    {
        ThreadPool.GetMinThreads(out int before, out int completionPorts);
        var minimum = new ThreadPoolMinimum();
        try
        {
            minimum.Enter();
            minimum.Raise(before + 5);
            Assert.True(ThreadPool.SetMinThreads(before + 10, completionPorts));
            minimum.Raise(before + 8);
            Assert.Equal(before + 10, MinThreads());
            minimum.Raise(before + 12);
            Assert.Equal(before + 12, MinThreads());
            minimum.Leave();
            Assert.Equal(before + 10, MinThreads());
            minimum.Enter();
            minimum.Raise(before + 15);
            Assert.True(ThreadPool.SetMinThreads(before + 1, completionPorts));
            minimum.Leave();
            Assert.Equal(before + 1, MinThreads());
        }
        finally
        {
            ThreadPool.SetMinThreads(before, completionPorts);
        }
    }

    [Fact]
    public void Two_hosts_that_stop_at_once_leave_the_pool_as_it_was()
    {
        ThreadPool.GetMinThreads(out int before, out _);
        using var release = new ManualResetEvent(false);
        using var ended = new CountdownEvent(1);
        var first = new ThreadPoolRelief(TimeSpan.FromMilliseconds(20));
        var second = new ThreadPoolRelief(TimeSpan.FromMilliseconds(20));
        try
        {
            int raised = before;
            foreach (ThreadPoolRelief relief in (ThreadPoolRelief[])[first, second])
            {
                BlockPool(release, ended);
                relief.Begin();
                Assert.True(SpinWait.SpinUntil(() => MinThreads() > raised, Patience.Limit));
                raised = MinThreads();
            }

            first.End();
            Thread.Sleep(100);
            Assert.True(MinThreads() >= raised, "The first one has taken away what the second one needs.");
        }
        finally
        {
            first.End();
            second.End();
            release.Set();
            ended.Signal();
            Assert.True(ended.Wait(Patience.Limit));
        }

        Assert.True(SpinWait.SpinUntil(() => MinThreads() == before, Patience.Limit));
    }

    [Fact]
    public Task A_pool_that_works_is_left_alone() => Undisturbed.UsuallyAsync(static async () =>
    {
        ThreadPool.GetMinThreads(out int before, out _);
        var relief = new ThreadPoolRelief(TimeSpan.FromMilliseconds(50));
        relief.Begin();
        await Task.Delay(150);
        bool isLeftAlone = MinThreads() == before;
        relief.End();
        relief.Begin();
        await Patience.UntilAsync(() => MinThreads() == before, "it is as it was");
        return isLeftAlone;
    });

    // With more than it has threads.
    private static void BlockPool(ManualResetEvent release, CountdownEvent ended)
    {
        int blocked = ThreadPool.ThreadCount + 50;
        ended.AddCount(blocked);
        for (int i = 0; i < blocked; i++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(
                _ =>
                {
                    release.WaitOne();
                    ended.Signal();
                },
                null);
        }
    }

    private static int MinThreads()
    {
        ThreadPool.GetMinThreads(out int workers, out _);
        return workers;
    }
}
