using System.Collections.Concurrent;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Taking, giving and returning workers, with the test as the monitor and as the worker that blocks.</summary>
public sealed class WorkerPoolTests : IDisposable
{
    private readonly ParkObserver _systemCalls = new();
    private readonly ThreadLocal<Worker?> _current = new();
    private readonly EpollPoller _poller;
    private WorkerGroup _group;

    public WorkerPoolTests()
    {
        _poller = new EpollPoller(_systemCalls, new DeadlineHeap(), EpollEventLayout.Current);
        _group = CreateGroup();
    }

    private Processor Processor => _group.Processors[0];

    public void Dispose()
    {
        _group.RequestStop();
        Patience.Until(() => _group.Pool.Running == 1, "the workers have left");
        _poller.Dispose();
        _current.Dispose();
    }

    [Fact]
    public void A_blocked_turns_processor_goes_on_with_another_worker()
    {
        CallbackTurn queued = new();
        Assert.True(Processor.Queue.TryPush(queued));
        long state = Processor.BeginTurn(new CallbackTurn());
        Assert.True(_group.TryHandOff(Processor, state));
        Patience.Until(() => queued.Runs == 1, "what was in its queue has run");
        Assert.False(Processor.TryEndTurn(state));
        Assert.Equal(1, HandOffs);
        Assert.NotNull(Processor.Holder);
        Assert.Equal(0, _group.Pool.Spares);
    }

    [Fact]
    public void A_turn_that_has_ended_meanwhile_keeps_its_processor()
    {
        long state = Processor.BeginTurn(new CallbackTurn());
        Assert.True(Processor.TryEndTurn(state));
        Assert.True(_group.TryHandOff(Processor, state));
        Assert.Equal(state + 1, Processor.State);

        // Nobody has been started for it.
        Assert.Equal((0L, 0, 1), (HandOffs, _group.Pool.Spares, _group.Pool.Running));
        CallbackTurn queued = new();
        Assert.True(Processor.Queue.TryPush(queued));
        Assert.True(_group.TryHandOff(Processor, Processor.BeginTurn(new CallbackTurn())));
        Patience.Until(() => queued.Runs == 1, "the turn has run");
        Assert.Equal((1L, 0, 2), (HandOffs, _group.Pool.Spares, _group.Pool.Running));
    }

    [Fact]
    public void A_turn_that_is_followed_by_another_one_keeps_its_processor()
    {
        long state = Processor.BeginTurn(new CallbackTurn());
        Assert.True(Processor.TryEndTurn(state));
        long next = Processor.BeginTurn(new CallbackTurn());
        Assert.True(_group.TryHandOff(Processor, state));
        Assert.Equal(next, Processor.State);
        Assert.Equal(0, HandOffs);
    }

    [Fact]
    public void At_the_limit_the_turn_keeps_its_processor()
    {
        WorkerGroup full = CreateGroup(maxWorkers: 0);
        Processor processor = full.Processors[0];
        long state = processor.BeginTurn(new CallbackTurn());
        Assert.False(full.TryHandOff(processor, state));
        Assert.Equal(1, full.Limit.Reached);
        Assert.False(full.TryHandOff(processor, state));
        Assert.Equal(1, full.Limit.Reached);
        Assert.True(processor.TryEndTurn(state));

        Assert.False(full.TryHandOff(processor, processor.BeginTurn(new CallbackTurn())));
        Assert.Equal(2, full.Limit.Reached);
    }

    [Fact]
    public void After_the_stop_there_are_no_workers_and_no_complaints()
    {
        _group.RequestStop();
        long state = Processor.BeginTurn(new CallbackTurn());
        Assert.False(_group.TryHandOff(Processor, state));
        Assert.Equal((0L, 0, 1), (_group.Limit.Reached, _group.Limit.Count, _group.Pool.Running));
        Assert.True(Processor.TryEndTurn(state));
    }

    [Fact]
    public void The_worker_that_parked_last_is_taken_first()
    {
        Worker first = Take(), second = Take();
        _group.Pool.Return(first);
        _group.Pool.Return(second);
        Assert.Same(second, Take());
        Assert.Same(first, Take());
        _group.Pool.Return(first);
        _group.Pool.Return(second);
    }

    [Fact]
    public void A_worker_that_is_returned_after_the_stop_leaves()
    {
        Worker worker = Take();
        _group.RequestStop();
        _group.Pool.Return(worker);
        Patience.Until(() => _group.Pool.Running == 1, "it has left");
        Assert.Equal(0, _group.Limit.Count);
    }

    [Fact]
    public void A_spare_that_nobody_needs_ends()
    {
        _group = CreateGroup(spareIdleTime: TimeSpan.FromMilliseconds(1));
        for (int i = 0; i < 20; i++)
        {
            _group.Pool.Return(Take());
        }

        Patience.Until(() => _group.Pool.Running == 1, "they have ended");
        Assert.Equal((0, 0), (_group.Pool.Spares, _group.Limit.Count));
    }

    [Fact]
    public void A_spare_that_is_dismissed_ends()
    {
        Assert.Null(_group.Pool.TryDismissSpare());
        Worker first = Take(), second = Take();
        _group.Pool.Return(first);
        _group.Pool.Return(second);
        Assert.Same(first, _group.Pool.TryDismissSpare());
        Patience.Until(() => first.HasEnded, "it has ended");
        Assert.Equal((1, 1, 2), (_group.Pool.Spares, _group.Limit.Count, _group.Pool.Running));
        Assert.False(second.HasEnded);
    }

    /// <summary>While it is taken its time does not count; once it is a spare again, it does.</summary>
    [Fact]
    public void A_worker_whose_time_was_up_while_it_was_taken_ends_once_it_is_returned()
    {
        _group = CreateGroup(spareIdleTime: TimeSpan.FromMilliseconds(1));
        Worker worker = Take();
        Patience.Until(() => _systemCalls.ParkTimeouts.Contains(-1), "it waits for what it was taken for");
        _group.Pool.Return(worker);
        Patience.Until(() => _group.Pool.Running == 1, "it has ended");
    }

    [Fact]
    public void A_worker_whose_time_was_up_while_it_was_taken_can_be_given_a_processor()
    {
        _group = CreateGroup(spareIdleTime: TimeSpan.FromMilliseconds(1));
        Worker worker = Take();
        Patience.Until(() => _systemCalls.ParkTimeouts.Contains(-1), "it waits for what it was taken for");
        CallbackTurn queued = new();
        Assert.True(Processor.Queue.TryPush(queued));
        worker.Give(Processor, held: null);
        Patience.Until(() => queued.Runs == 1, "it runs turns");
    }

    private long HandOffs
    {
        get
        {
            NetpollStatistics statistics = default;
            _group.AddCountersTo(ref statistics);
            return statistics.HandOffs;
        }
    }

    private WorkerGroup CreateGroup(int maxWorkers = 100, TimeSpan? spareIdleTime = null) =>
        Groups.CreateByHand(1, 1, _poller, _systemCalls, _current, maxWorkers: maxWorkers, spareIdleTime: spareIdleTime);

    private Worker Take()
    {
        Worker? worker = _group.Pool.TryTake(out Exception? refusal);
        Assert.Null(refusal);
        Assert.NotNull(worker);
        return worker;
    }

    private sealed class ParkObserver : SystemCalls
    {
        internal ConcurrentQueue<long> ParkTimeouts { get; } = new();

        protected internal override SyscallResult FutexWaitOnce(ref int word, int expected, long timeoutNanoseconds)
        {
            ParkTimeouts.Enqueue(timeoutNanoseconds);
            return base.FutexWaitOnce(ref word, expected, timeoutNanoseconds);
        }
    }
}
