using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>
/// The table of <see cref="SystemMonitor"/>, look by look, with a clock of the test's own. The group may have no worker at all, so that nothing
/// is ever handed on: what is asserted is whether the monitor wanted to.
/// </summary>
public sealed partial class SystemMonitorTests : IDisposable
{
    private const long Millisecond = MonotonicClock.NanosecondsPerMillisecond;

    private readonly SimulatedKernel _kernel = new();
    private readonly DeadlineHeap _heap = new();
    private readonly ThreadLocal<Worker?> _current = new();
    private readonly FakeProbe _probe = new();
    private readonly EpollPoller _poller;
    private readonly SystemMonitor _monitor;
    private readonly WorkerGroup _group;
    private long _now = MonotonicClock.Now;

    public SystemMonitorTests()
    {
        _poller = new EpollPoller(_kernel, _heap, EpollEventLayout.Current);
        _monitor = new SystemMonitor("by hand", _kernel, _probe);
        _group = Groups.CreateByHand(processors: 2, batchSize: 1, _poller, _kernel, _current, _monitor, maxWorkers: 0);
        _monitor.Watch([_group]);
        Processor.Holder = new Worker(_group, "by hand", Processor);
    }

    public enum Work
    {
        None,
        InOwnQueue,
        InGroupQueue,
        InOtherQueue,
        DueDeadline,
        LaterDeadline,
        Events,
    }

    private Processor Processor => _group.Processors[0];

    public void Dispose()
    {
        _monitor.Stop();
        _poller.Dispose();
        _current.Dispose();
    }

    [Fact]
    public void Between_turns_nothing_is_handed_on()
    {
        _group.Schedule(new CallbackTurn());
        _probe.InManagedWait = true;
        _probe.InKernelWait = true;
        Assert.False(WantsAfter(0, 1, 1, 100));

        // Nor when one has been looked at and has ended since.
        long state = Begin();
        Assert.False(WantsAfter(0));
        Assert.True(Processor.TryEndTurn(state));
        Assert.False(WantsAfter(1, 1, 100));
    }

    [Fact]
    public void A_processor_whose_worker_is_not_known_yet_is_left_alone()
    {
        Processor.Holder = null;
        Begin();
        _group.Schedule(new CallbackTurn());
        _probe.InManagedWait = true;
        Assert.False(WantsAfter(0, 1, 1, 100));
    }

    [Fact]
    public void Turns_that_change_between_looks_are_never_blocked()
    {
        _group.Schedule(new CallbackTurn());
        _probe.InManagedWait = true;
        _probe.InKernelWait = true;
        for (int i = 0; i < 20; i++)
        {
            long state = Begin();
            Assert.False(WantsAfter(5));
            Assert.True(Processor.TryEndTurn(state));
        }

        Assert.Equal(0, _probe.KernelLooks);
    }

    [Theory]
    [InlineData(Work.None, false, true)]
    [InlineData(Work.None, true, false)]
    [InlineData(Work.InOwnQueue, true, true)]
    [InlineData(Work.InGroupQueue, true, true)]
    [InlineData(Work.DueDeadline, true, true)]
    public void A_sleep_in_the_kernel(Work work, bool sleeper, bool wanted)
    {
        Arrange(work, sleeper);
        _probe.InKernelWait = true;
        Assert.False(WantsAfter(0));
        _now += Millisecond - 1;
        Assert.False(WantsAfter(0));
        Assert.Equal(0, _probe.KernelLooks);
        _now++;
        Assert.Equal(wanted, WantsAfter(0));
        Assert.Equal(1, _probe.KernelLooks);

        // The kernel is asked once per millisecond only.
        Assert.False(WantsAfter(0));
        Assert.Equal(1, _probe.KernelLooks);
        Assert.True(WantsAfter(9));
        Assert.Equal(2, _probe.KernelLooks);
    }

    [Theory]
    [InlineData(Work.None, false, false)]
    [InlineData(Work.None, true, false)]
    [InlineData(Work.LaterDeadline, false, false)]
    [InlineData(Work.InOtherQueue, false, false)]
    [InlineData(Work.Events, false, true)]
    [InlineData(Work.Events, true, false)]
    [InlineData(Work.InOwnQueue, false, true)]
    [InlineData(Work.InOwnQueue, true, true)]
    [InlineData(Work.InGroupQueue, false, true)]
    [InlineData(Work.InGroupQueue, true, true)]
    [InlineData(Work.DueDeadline, false, true)]
    [InlineData(Work.DueDeadline, true, true)]
    public void Computing(Work work, bool sleeper, bool wanted)
    {
        Arrange(work, sleeper);
        Assert.False(WantsAfter(0, 1, 1, 1, 6));
        _now += Millisecond - 1;
        Assert.False(WantsAfter(0));
        _now++;
        Assert.Equal(wanted, WantsAfter(0));
        Assert.Equal(wanted, WantsAfter(0));
    }

    [Theory]
    [InlineData(Work.None, false, false)]
    [InlineData(Work.LaterDeadline, false, false)]
    [InlineData(Work.Events, false, true)]
    [InlineData(Work.InOwnQueue, true, true)]
    [InlineData(Work.InGroupQueue, false, true)]
    [InlineData(Work.DueDeadline, false, true)]
    public void Computing_all_the_time(Work work, bool sleeper, bool wanted)
    {
        Arrange(work, sleeper);
        Assert.False(WantsAfter(0));
        _now += SystemMonitor.ComputingNanoseconds;
        Assert.False(WantsAfter(0));
        Compute(SystemMonitor.ComputingWindow - 1);
        Assert.False(WantsAfter(0));
        Compute(1);
        Assert.Equal(wanted, WantsAfter(0));
    }

    [Fact]
    public void A_turn_that_is_stopped_for_more_than_half_of_the_time_is_given_10_ms()
    {
        Arrange(Work.InOwnQueue, sleeper: false);
        Assert.False(WantsAfter(0));
        _now += SystemMonitor.ComputingNanoseconds;
        Assert.False(WantsAfter(0));
        Compute(SystemMonitor.ComputingWindow);
        _now += SystemMonitor.ComputingWindow + 1;
        Assert.False(WantsAfter(0));
        Assert.True(WantsAfter(10));
    }

    /// <summary>It stops all turns, whose threads then sleep.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void The_time_of_a_collection_is_not_the_turns(bool inManagedWait, bool inKernelWait)
    {
        Arrange(Work.InOwnQueue, sleeper: false);
        _probe.InManagedWait = inManagedWait;
        _probe.InKernelWait = inKernelWait;
        Assert.False(WantsAfter(0));
        for (int i = 0; i < 10; i++)
        {
            _probe.PauseTime += 5 * Millisecond;
            Assert.False(WantsAfter(5));
        }

        Assert.True(WantsAfter(1));
    }

    /// <summary>A handler that allocates much causes many of them, and is not protected by that.</summary>
    [Fact]
    public void Collections_do_not_hide_a_turn_that_computes()
    {
        Arrange(Work.InOwnQueue, sleeper: false);
        Assert.False(WantsAfter(0));
        bool wanted = false;
        for (int i = 0; i < 10 && !wanted; i++)
        {
            _probe.PauseTime += Millisecond / 10;
            _now += Millisecond / 10;
            Compute(Millisecond);
            wanted = WantsAfter(0);
        }

        Assert.True(wanted);
    }

    [Fact]
    public void The_10_ms_begin_anew_with_each_turn()
    {
        _group.Schedule(new CallbackTurn());
        long state = Begin();
        Assert.False(WantsAfter(0, 9));
        Assert.True(Processor.TryEndTurn(state));
        Begin();
        Assert.False(WantsAfter(1, 9));
        Assert.True(WantsAfter(1));
    }

    [Fact]
    public void What_it_finds_is_what_is_there()
    {
        Assert.Equal(default, _monitor.Look(_now));
        Sleep();
        Assert.Equal(new MonitorFindings { EveryGroupHasSleeper = true }, _monitor.Look(_now));
        Begin();
        Assert.Equal(new MonitorFindings { EveryGroupHasSleeper = true, TurnRuns = true }, _monitor.Look(_now));
        _probe.InManagedWait = true;
        Assert.Equal(new MonitorFindings { EveryGroupHasSleeper = true, TurnRuns = true, Suspicion = true, TurnLasts = true }, _monitor.Look(_now));
        Assert.Equal(new MonitorFindings { EveryGroupHasSleeper = true, TurnRuns = true, TurnLasts = true }, _monitor.Look(_now));
    }

    // True: at the last of the looks, so many milliseconds after one another, it wanted to hand the processor on. At no earlier one.
    private bool WantsAfter(params ReadOnlySpan<int> milliseconds)
    {
        bool wanted = false;
        foreach (int pause in milliseconds)
        {
            Assert.False(wanted);
            _now += pause * Millisecond;
            MonitorFindings findings = _monitor.Look(_now);
            Assert.False(findings.HandedOff);
            wanted = findings.Refused;
        }

        return wanted;
    }

    private long Begin() => Processor.BeginTurn(new CallbackTurn());

    private void Compute(long nanoseconds)
    {
        _now += nanoseconds;
        _probe.CpuTime += nanoseconds;
    }

    // As the worker's own turn does it.
    private HeldTurn Hold()
    {
        HeldTurn output = new();
        Assert.True(output.TryList());
        Processor.Holder!.Give(Processor, output);
        _now = Processor.Holder!.HeldSince;
        return output;
    }

    // Nobody takes turns off the group's queue here. Where no worker sleeps, the thread pool sends.
    private static void AssertSent(HeldTurn output, bool onlyByGroup)
    {
        Assert.True(output.TryList());
        Assert.Equal(onlyByGroup, !SpinWait.SpinUntil(() => output.Runs != 0, onlyByGroup ? 300 : 30_000));
    }

    private void Arrange(Work work, bool sleeper)
    {
        if (sleeper)
        {
            Sleep();
        }

        switch (work)
        {
            case Work.InOwnQueue:
                Assert.True(Processor.Queue.TryPush(new CallbackTurn()));
                break;
            case Work.InGroupQueue:
                _group.Schedule(new CallbackTurn());
                TakeSignal();
                break;
            case Work.InOtherQueue:
                Assert.True(_group.Processors[1].Queue.TryPush(new CallbackTurn()));
                break;
            case Work.DueDeadline:
                SetDeadline(MonotonicClock.Now);
                break;
            case Work.LaterDeadline:
                SetDeadline(MonotonicClock.After(TimeSpan.FromHours(1)));
                break;
            case Work.Events:
                _kernel.RaiseWithCookie(LibC.EPOLLIN, PollCookie.Create(1, 7).Word);
                break;
        }

        Begin();
    }

    private void Sleep() => Assert.True(_group.TryBeginSleep(_group.Processors[1], out _));

    private void TakeSignal() => _poller.Wait(_poller.CreateBatch(1), timeoutNanoseconds: 0);

    // In the heap as it would be once the time has come: the engine fires a deadline that is in the past when it is set.
    private void SetDeadline(long when) => _heap.Arm(new Timer(), when, sequence: 0);

    private sealed class Timer : DeadlineTimer;

    private sealed class FakeProbe() : BlockedTurnProbe(SystemCalls.Instance)
    {
        internal bool InManagedWait { get; set; }

        internal bool InKernelWait { get; set; }

        internal int KernelLooks { get; private set; }

        internal long CpuTime { get; set; }

        internal long PauseTime { get; set; }

        internal override long Paused => PauseTime;

        internal override long GetCpuTime(Worker worker) => CpuTime;

        internal override bool IsInManagedWait(Worker worker) => InManagedWait;

        internal override bool IsInKernelWait(Worker worker)
        {
            KernelLooks++;
            return InKernelWait;
        }
    }
}
