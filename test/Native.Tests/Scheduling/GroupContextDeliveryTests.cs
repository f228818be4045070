using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>What a turn that delivers a result runs in place, and what it posts.</summary>
public sealed class GroupContextDeliveryTests : GroupContextFixture
{
    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void A_delivery_runs_the_continuation_in_place_if_it_captured_the_groupsContext(bool own, bool awaitedFirst)
    {
        var source = new Source(Context);
        var other = new GroupContext(Runtime.Groups[0], new ThreadLocal<bool>(), OnUnhandled, static _ => false);
        GroupContext captured = own ? Context : other;
        (bool InPlace, SynchronizationContext?) there = default;
        var delivering = new Lock();
        using var done = new ManualResetEventSlim();
        RunOnWorker(() =>
        {
            if (!awaitedFirst)
            {
                source.Complete(1);
            }

            bool late = false;
            captured.Send(
                _ => late = source.Await(() =>
                {
                    there = (delivering.IsHeldByCurrentThread, SynchronizationContext.Current);
                    done.Set();
                }),
                null);
            Assert.Equal(!awaitedFirst, late);

            SynchronizationContext.SetSynchronizationContext(null);
            lock (delivering)
            {
                if (late)
                {
                    source.Deliver();
                }
                else
                {
                    source.Complete(1);
                }
            }

            Assert.Null(SynchronizationContext.Current);
        });
        Assert.True(done.Wait(Patience.Limit));
        Assert.Equal((own, captured), there);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_a_relay_posts_as_it_ends_runs_in_place_and_what_comes_of_that_does_not(bool relay)
    {
        var source = new Source(Context);
        var inRelay = new Lock();
        var inApplication = new Lock();
        bool? applicationInPlace = null;
        bool? lastInPlace = null;
        using var done = new ManualResetEventSlim();

        // As value-task sources post: a callback over an Action<object>.
        var last = new SendOrPostCallback(new Action<object?>(_ =>
        {
            lastInPlace = inApplication.IsHeldByCurrentThread;
            done.Set();
        }));
        var application = new SendOrPostCallback(new Action<object?>(_ =>
        {
            applicationInPlace = inRelay.IsHeldByCurrentThread;
            lock (inApplication)
            {
                Context.Post(last, null);
            }
        }));
        RunOnWorker(() =>
        {
            source.Await(
                () =>
                {
                    lock (inRelay)
                    {
                        Context.Post(application, null);
                    }
                },
                relay ? new Relay() : new object());
            source.Complete(1);
        });
        Assert.True(done.Wait(Patience.Limit));
        Assert.Equal(relay, applicationInPlace);
        Assert.False(lastInPlace);
    }

    /// <summary>A second and a late awaiter are refused, and the first one keeps its context.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_awaiter_that_is_refused_does_not_take_the_first_onesContext_away(bool secondIsRelay)
    {
        var source = new Source(Context);
        SynchronizationContext? there = null;
        bool? inPlace = null;
        var delivering = new Lock();
        using var done = new CountdownEvent(2);
        var posted = new SendOrPostCallback(new Action<object?>(_ =>
        {
            inPlace = delivering.IsHeldByCurrentThread;
            done.Signal();
        }));
        RunOnWorker(() =>
        {
            source.Await(() =>
            {
                there = SynchronizationContext.Current;
                Context.Post(posted, null);
                done.Signal();
            });
            if (secondIsRelay)
            {
                Assert.Throws<InvalidOperationException>(() => source.Await(static () => { }, new Relay()));
            }

            SynchronizationContext.SetSynchronizationContext(null);
            Assert.Throws<InvalidOperationException>(() => source.Await(static () => { }));
            lock (delivering)
            {
                source.Complete(1);
            }
        });
        Assert.True(done.Wait(Patience.Limit));
        Assert.Same(Context, there);
        Assert.False(inPlace);
    }

    /// <summary>The contexts share the memory of what their threads do; a relay of one says nothing about the other.</summary>
    [Fact]
    public void What_a_relay_posts_to_anotherContext_does_not_run_in_place()
    {
        var source = new Source(Context);
        var other = new GroupContext(Runtime.Groups[0], InRelay, OnUnhandled, static _ => false);
        var inRelay = new Lock();
        bool? inPlace = null;
        SynchronizationContext? there = null;
        using var done = new ManualResetEventSlim();
        var posted = new SendOrPostCallback(new Action<object?>(_ =>
        {
            inPlace = inRelay.IsHeldByCurrentThread;
            there = SynchronizationContext.Current;
            done.Set();
        }));
        RunOnWorker(() =>
        {
            source.Await(
                () =>
                {
                    lock (inRelay)
                    {
                        other.Post(posted, null);
                    }
                },
                new Relay());
            source.Complete(1);
        });
        Assert.True(done.Wait(Patience.Limit));
        Assert.Equal((false, other), (inPlace, there));
    }

    [Fact]
    public void A_relay_may_complete_a_task_under_a_lock()
    {
        var source = new Source(Context);
        var gate = new Lock();
        var task = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool? held = null;
        using var done = new ManualResetEventSlim();
        async Task AwaitAsync()
        {
            await task.Task;
            held = gate.IsHeldByCurrentThread;
            done.Set();
        }

        RunOnWorker(() =>
        {
            _ = AwaitAsync();
            source.Await(
                () =>
                {
                    lock (gate)
                    {
                        task.SetResult();
                    }
                },
                new Relay());
            source.Complete(1);
        });
        Assert.True(done.Wait(Patience.Limit));
        Assert.False(held);
    }
}
