using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class GroupContextTests : IDisposable
{
    private readonly NetpollRuntime _runtime = WorkerThreads.CreateRuntime(2, out _);
    private readonly List<Exception> _unhandled = [];
    private readonly ThreadLocal<bool> _inRelay = new();
    private readonly GroupContext _context;

    public GroupContextTests() =>
        _context = new GroupContext(_runtime.Groups[0], _inRelay, OnUnhandled, static state => state is Relay);

    public void Dispose() => _runtime.Dispose();

    [Fact]
    public void Post_runs_on_a_worker_under_the_context_and_leaves_nothing_behind()
    {
        (bool, SynchronizationContext?) there = default;
        RunOnWorker(() => there = (_context.IsWorkerThread, SynchronizationContext.Current));
        Assert.Equal((true, _context), there);

        for (int i = 0; i < 20; i++)
        {
            SynchronizationContext? left = _context;
            using var done = new ManualResetEventSlim();
            _runtime.Groups[0].Schedule(new CallbackTurn(() =>
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
                _context.Post(
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
            _context.Post(
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
    public void Send_runs_inline_under_the_context()
    {
        (int, SynchronizationContext?) there = default;
        SynchronizationContext? before = SynchronizationContext.Current;
        _context.Send(_ => there = (Environment.CurrentManagedThreadId, SynchronizationContext.Current), null);
        Assert.Equal((Environment.CurrentManagedThreadId, _context), there);
        Assert.Same(before, SynchronizationContext.Current);
        Assert.Throws<InvalidOperationException>(() => _context.Send(static _ => throw new InvalidOperationException(), null));
        Assert.Same(before, SynchronizationContext.Current);
    }

    [Fact]
    public void What_a_callback_throws_is_reported_and_the_workers_go_on()
    {
        for (int i = 0; i < 5; i++)
        {
            _context.Post(static _ => throw new InvalidOperationException("on purpose"), null);
        }

        Patience.Until(
            () =>
            {
                lock (_unhandled)
                {
                    return _unhandled.Count == 5;
                }
            },
            "all are reported");
        RunOnWorker(static () => { });
    }

    [Fact]
    public async Task Switching_takes_a_turn_of_its_own()
    {
        (bool, SynchronizationContext?) there = default;
        async Task SwitchAsync()
        {
            await _context.SwitchToWorker();
            there = (_context.IsWorkerThread, SynchronizationContext.Current);
        }

        await SwitchAsync();
        Assert.Equal((true, _context), there);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void A_delivery_runs_the_continuation_in_place_if_it_captured_the_groups_context(bool own, bool awaitedFirst)
    {
        var source = new Source(_context);
        var other = new GroupContext(_runtime.Groups[0], new ThreadLocal<bool>(), OnUnhandled, static _ => false);
        GroupContext captured = own ? _context : other;
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
        var source = new Source(_context);
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
                _context.Post(last, null);
            }
        }));
        RunOnWorker(() =>
        {
            source.Await(
                () =>
                {
                    lock (inRelay)
                    {
                        _context.Post(application, null);
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
    public void An_awaiter_that_is_refused_does_not_take_the_first_ones_context_away(bool secondIsRelay)
    {
        var source = new Source(_context);
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
                _context.Post(posted, null);
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
        Assert.Same(_context, there);
        Assert.False(inPlace);
    }

    /// <summary>The contexts share the memory of what their threads do; a relay of one says nothing about the other.</summary>
    [Fact]
    public void What_a_relay_posts_to_another_context_does_not_run_in_place()
    {
        var source = new Source(_context);
        var other = new GroupContext(_runtime.Groups[0], _inRelay, OnUnhandled, static _ => false);
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
        var source = new Source(_context);
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

    private void OnUnhandled(Exception exception)
    {
        lock (_unhandled)
        {
            _unhandled.Add(exception);
        }
    }

    private void RunOnWorker(Action action)
    {
        using var done = new ManualResetEventSlim();
        Exception? failure = null;
        _context.Post(
            _ =>
            {
                try
                {
                    action();
                }
                catch (Exception e)
                {
                    failure = e;
                }
                finally
                {
                    done.Set();
                }
            },
            null);
        Assert.True(done.Wait(Patience.Limit));
        Assert.Null(failure);
    }

    private sealed class Relay;

    private sealed class Source(GroupContext context)
    {
        private TurnValueTaskSource<int> _source;

        internal bool Await(Action continuation, object? state = null) => _source.OnCompleted(
            _ => continuation(), state, _source.Version, ValueTaskSourceOnCompletedFlags.UseSchedulingContext, context);

        internal void Complete(int result) => _source.SetResult(result);

        internal void Deliver() => _source.Deliver();
    }
}
