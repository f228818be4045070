using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>When the monitor tells of a turn, with a clock of the test's own.</summary>
public sealed class BlockedTurnWatchTests : IDisposable
{
    private const long Millisecond = MonotonicClock.NanosecondsPerMillisecond;
    private const long Threshold = 100 * Millisecond;

    private readonly SimulatedKernel _kernel = new();
    private readonly ThreadLocal<Worker?> _current = new();
    private readonly RecordingObserver _observer = new(Threshold);
    private readonly EpollPoller _poller;
    private readonly SystemMonitor _monitor;
    private readonly WorkerGroup _group;
    private readonly WatchedProcessor _watched;
    private long _now = MonotonicClock.Now;

    public BlockedTurnWatchTests()
    {
        _poller = new EpollPoller(_kernel, new DeadlineHeap(), EpollEventLayout.Current);
        _monitor = new SystemMonitor("by hand", _kernel, new NoProbe(), _observer);
        _group = Groups.CreateByHand(processors: 1, batchSize: 1, _poller, _kernel, _current, _monitor, maxWorkers: 0);
        _monitor.Watch([_group]);
        _watched = new WatchedProcessor(_group, Processor);
        Processor.Holder = new Worker(_group, "by hand", Processor);
    }

    private Processor Processor => _group.Processors[0];

    public void Dispose()
    {
        _monitor.Stop();
        _poller.Dispose();
        _current.Dispose();
    }

    [Fact]
    public void Told_at_the_threshold_and_at_ten_times_what_was_told_last()
    {
        CallbackTurn turn = new();
        Processor.BeginTurn(turn);
        _monitor.Look(_now);
        Assert.Equal(0, ToldAfter(Threshold - 1));
        Assert.Equal(1, ToldAfter(1));
        Assert.Equal(1, ToldAfter((9 * Threshold) - 1));
        Assert.Equal(2, ToldAfter(1));
        Assert.Equal(2, ToldAfter(80 * Threshold));
        Assert.All(_observer.Blocked, sighting => Assert.Same(turn, sighting.Turn));
        Assert.Equal([Threshold, 10 * Threshold], _observer.Blocked.Select(static sighting => sighting.Nanoseconds));
    }

    [Fact]
    public void The_time_begins_anew_with_each_turn()
    {
        long state = Processor.BeginTurn(new CallbackTurn());
        _monitor.Look(_now);
        Assert.Equal(0, ToldAfter(Threshold - 1));
        Assert.True(Processor.TryEndTurn(state));
        Processor.BeginTurn(new CallbackTurn());
        Assert.Equal(0, ToldAfter(1));
        Assert.Equal(0, ToldAfter(Threshold - 1));
        Assert.Equal(1, ToldAfter(1));
    }

    [Fact]
    public void A_turn_that_has_lost_its_processor_and_ended_is_forgotten_and_not_told_of()
    {
        BlockedTurnWatch watch = BlockedTurnWatch.Create(_observer, new NoProbe())!;
        _watched.State = Processor.BeginTurn(new CallbackTurn());
        _watched.Since = _now;
        watch.OnHandedOff(_watched, Processor.Holder!, new CallbackTurn(), _now);
        Assert.Equal(1, watch.Count);
        watch.Look(_now + BlockedTurnWatch.ShortestPause - 1);
        Assert.Equal(1, watch.Count);
        watch.Look(_now + BlockedTurnWatch.ShortestPause);
        Assert.Equal(0, watch.Count);
        Assert.Empty(_observer.Blocked);
    }

    /// <summary>However long it is: a connection that has ended must not be kept.</summary>
    [Fact]
    public void The_monitor_does_not_sleep_longer_than_until_a_turn_without_processor_is_due()
    {
        BlockedTurnWatch watch = BlockedTurnWatch.Create(new RecordingObserver(TimeSpan.TicksPerDay * 100), new NoProbe())!;
        Assert.Equal((-1L, 7L), (watch.Limit(-1, _now), watch.Limit(7, _now)));
        _watched.Since = _now - (1000 * BlockedTurnWatch.LongestPause);
        watch.OnHandedOff(_watched, Processor.Holder!, turn: null, _now);
        Assert.Equal((BlockedTurnWatch.LongestPause, 7L), (watch.Limit(-1, _now), watch.Limit(7, _now)));
        Assert.Equal(0, watch.Limit(-1, _now + BlockedTurnWatch.LongestPause + 1));
    }

    [Fact]
    public void Without_a_threshold_nobody_watches() =>
        Assert.Null(BlockedTurnWatch.Create(new RecordingObserver(threshold: 0), new NoProbe()));

    private int ToldAfter(long nanoseconds)
    {
        _now += nanoseconds;
        _monitor.Look(_now);
        return _observer.Blocked.Count;
    }

    private sealed class NoProbe() : BlockedTurnProbe(SystemCalls.Instance)
    {
        internal override long Paused => 0;

        internal override long GetCpuTime(Worker worker) => 0;

        internal override bool IsInManagedWait(Worker worker) => false;

        internal override bool IsInKernelWait(Worker worker) => false;
    }
}
