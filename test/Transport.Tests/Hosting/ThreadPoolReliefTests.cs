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

    private static int MinThreads()
    {
        ThreadPool.GetMinThreads(out int workers, out _);
        return workers;
    }
}
