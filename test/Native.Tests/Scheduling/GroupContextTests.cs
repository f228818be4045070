using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>What is posted to a group's context, sent to it, or switches to it.</summary>
public sealed class GroupContextTests : GroupContextFixture
{
    [Fact]
    public void Post_runs_on_a_worker_under_theContext_and_leaves_nothing_behind()
    {
        (bool, SynchronizationContext?) there = default;
        RunOnWorker(() => there = (Context.IsWorkerThread, SynchronizationContext.Current));
        Assert.Equal((true, Context), there);

        for (int i = 0; i < 20; i++)
        {
            SynchronizationContext? left = Context;
            using var done = new ManualResetEventSlim();
            Runtime.Groups[0].Schedule(new CallbackTurn(() =>
            {
                left = SynchronizationContext.Current;
                done.Set();
            }));
            Assert.True(done.Wait(Patience.Limit));
            Assert.Null(left);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Post_does_not_run_inline(bool fromWorker)
    {
        // The lock is what the poster's caller might hold; inline, the callback would find it held by its own thread.
        var gate = new Lock();
        using var done = new ManualResetEventSlim();
        bool held = true;
        void PostUnderLock()
        {
            lock (gate)
            {
                Context.Post(
                    _ =>
                    {
                        held = gate.IsHeldByCurrentThread;
                        done.Set();
                    },
                    null);
            }
        }

        if (fromWorker)
        {
            RunOnWorker(PostUnderLock);
        }
        else
        {
            PostUnderLock();
        }

        Assert.True(done.Wait(Patience.Limit));
        Assert.False(held);
    }

    [Fact]
    public void A_task_that_runs_continuations_asynchronously_does_so()
    {
        var gate = new Lock();
        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool? held = null;
        using var done = new ManualResetEventSlim();
        async Task AwaitAsync()
        {
            await source.Task;
            held = gate.IsHeldByCurrentThread;
            done.Set();
        }

        RunOnWorker(() =>
        {
            _ = AwaitAsync();
            lock (gate)
            {
                source.SetResult();
            }
        });
        Assert.True(done.Wait(Patience.Limit));
        Assert.False(held);
    }

    [Fact]
    public void Posted_callbacks_run_at_the_same_time()
    {
        using var both = new Barrier(2);
        using var done = new CountdownEvent(2);
        for (int i = 0; i < 2; i++)
        {
            Context.Post(
                _ =>
                {
                    if (both.SignalAndWait(Patience.Limit))
                    {
                        done.Signal();
                    }
                },
                null);
        }

        Assert.True(done.Wait(Patience.Limit));
    }

    [Fact]
    public void Send_runs_inline_under_theContext()
    {
        (int, SynchronizationContext?) there = default;
        SynchronizationContext? before = SynchronizationContext.Current;
        Context.Send(_ => there = (Environment.CurrentManagedThreadId, SynchronizationContext.Current), null);
        Assert.Equal((Environment.CurrentManagedThreadId, Context), there);
        Assert.Same(before, SynchronizationContext.Current);
        Assert.Throws<InvalidOperationException>(() => Context.Send(static _ => throw new InvalidOperationException(), null));
        Assert.Same(before, SynchronizationContext.Current);
    }

    [Fact]
    public void What_a_callback_throws_is_reported_and_the_workers_go_on()
    {
        for (int i = 0; i < 5; i++)
        {
            Context.Post(static _ => throw new InvalidOperationException("on purpose"), null);
        }

        Patience.Until(() => UnhandledCount == 5, "all are reported");
        RunOnWorker(static () => { });
    }

    [Fact]
    public async Task Switching_takes_a_turn_of_its_own()
    {
        (bool, SynchronizationContext?) there = default;
        async Task SwitchAsync()
        {
            await Context.SwitchToWorker();
            there = (Context.IsWorkerThread, SynchronizationContext.Current);
        }

        await SwitchAsync();
        Assert.Equal((true, Context), there);
    }
}
