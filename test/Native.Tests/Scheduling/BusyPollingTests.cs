using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Staying awake for a moment before a sleep: when, and what ends it.</summary>
public sealed class BusyPollingTests : IDisposable
{
    private readonly SimulatedKernel _kernel = new();
    private readonly DeadlineHeap _heap = new();
    private readonly ThreadLocal<Worker?> _current = new();
    private readonly EpollPoller _poller;
    private readonly WorkerGroup _group;
    private readonly BusyPolling _decision = new();

    public BusyPollingTests()
    {
        _poller = new EpollPoller(_kernel, _heap, EpollEventLayout.Current);
        _group = Groups.CreateByHand(processors: 2, batchSize: 8, _poller, _kernel, _current, busyPolls: true);

        // The other one, which nobody holds here.
        Assert.True(_group.Idle.TryAnnounce(_group.Processors[1], new Worker(_group, "by hand", _group.Processors[1])));
    }

    private Processor Processor => _group.Processors[0];

    private bool IsWorthwhile => _decision.IsWorthwhile(BusyPolling.LeastWork);

    public void Dispose()
    {
        _poller.Dispose();
        _current.Dispose();
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(BusyPolling.ShortSleep, true)]
    [InlineData(BusyPolling.ShortSleep + 1, false)]
    [InlineData(long.MaxValue, false)]
    public void It_is_worthwhile_after_a_short_sleep(long nanoseconds, bool expected)
    {
        Assert.False(IsWorthwhile);
        _decision.OnSlept(nanoseconds);
        Assert.Equal(expected, IsWorthwhile);
    }

    [Fact]
    public void It_is_not_for_those_who_only_pass_on()
    {
        _decision.OnSlept(1);
        Assert.False(_decision.IsWorthwhile(BusyPolling.LeastWork - 1));
        Assert.True(IsWorthwhile);
    }

    [Fact]
    public void As_long_as_it_finds_something_it_is()
    {
        _decision.OnSlept(1);
        for (int i = 0; i < 1_000; i++)
        {
            _decision.OnFound();
            Assert.True(IsWorthwhile);
        }
    }

    [Fact]
    public void Each_time_in_vain_makes_it_wait_for_twice_as_many_short_sleeps()
    {
        _decision.OnSlept(1);
        foreach (int penalty in (int[])[1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256])
        {
            FindNothing();
            Assert.Equal(penalty, ShortSleepsUntilWorthwhile());
        }
    }

    [Fact]
    public void Each_time_it_finds_something_halves_the_penalty()
    {
        _decision.OnSlept(1);
        for (int i = 0; i < 5; i++)
        {
            FindNothing();
            ShortSleepsUntilWorthwhile();
        }

        foreach (int penalty in (int[])[16, 16, 16])
        {
            _decision.OnFound();
            FindNothing();
            Assert.Equal(penalty, ShortSleepsUntilWorthwhile());
        }

        for (int i = 0; i < 10; i++)
        {
            _decision.OnFound();
        }

        FindNothing();
        Assert.Equal(BusyPolling.LeastPenalty, ShortSleepsUntilWorthwhile());
    }

    [Fact]
    public void Long_sleeps_do_not_count()
    {
        _decision.OnSlept(1);
        FindNothing();
        for (int i = 0; i < 10; i++)
        {
            _decision.OnSlept(BusyPolling.ShortSleep + 1);
        }

        Assert.False(IsWorthwhile);
        Assert.Equal(1, ShortSleepsUntilWorthwhile());
    }

    [Theory]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    [InlineData(true, true, false)]
    public void It_is_for_the_one_who_serves_the_events_of_all(bool gathered, bool sleptShortly, bool worked)
    {
        Work(worked);
        Processor.IsGathered = gathered;
        Processor.BusyPolling.OnSlept(sleptShortly ? 1 : long.MaxValue);
        long now = MonotonicClock.Now;
        Assert.False(_group.TryBusyPoll(Processor, ref now));
        Assert.Empty(_kernel.Waits);
    }

    [Fact]
    public void It_polls_without_waiting_and_not_for_ever()
    {
        Assert.False(TryBusyPoll());
        Assert.NotEmpty(_kernel.Waits);
        Assert.All(_kernel.Waits, static wait => Assert.Equal(0, wait.Timeout));
        Assert.False(Processor.BusyPolling.IsWorthwhile(BusyPolling.LeastWork));
    }

    [Fact]
    public void An_event_ends_it()
    {
        SimulatedFile file = _kernel.Create();
        StreamSocket socket = new(file.Fd, _group, _kernel);
        socket.Start();
        CallbackTurn turn = new();
        Assert.Equal(PollResult.Pending, socket.BeginWaitReadable(turn));
        _kernel.Raise(file.Fd, LibC.EPOLLIN);
        Assert.True(TryBusyPoll());
        Assert.True(_group.TryTakeTurn(Processor, out Turn? taken));
        Assert.Same(turn, taken);
        socket.EndWaitReadable();
        socket.Close();
    }

    /// <summary>What it finds each time was there already, and others could have taken some of it.</summary>
    [Fact]
    public void Who_never_has_to_wait_gets_help()
    {
        SimulatedFile[] files = [_kernel.Create(), _kernel.Create()];
        StreamSocket[] sockets = [.. files.Select(file => new StreamSocket(file.Fd, _group, _kernel))];
        Array.ForEach(sockets, static socket => socket.Start());
        Assert.Equal(1, _group.Idle.Count);
        Patience.Until(
            () =>
            {
                Array.ForEach(files, file => _kernel.Raise(file.Fd, LibC.EPOLLIN));
                Work();
                Assert.True(TryBusyPollAgain());
                return _group.Idle.Count == 0;
            },
            "the idle one is active");
        Array.ForEach(sockets, static socket => socket.Close());
    }

    [Fact]
    public void Who_waits_a_moment_each_time_needs_no_help()
    {
        SimulatedFile[] files = [_kernel.Create(), _kernel.Create()];
        StreamSocket[] sockets = [.. files.Select(file => new StreamSocket(file.Fd, _group, _kernel))];
        Array.ForEach(sockets, static socket => socket.Start());
        for (long end = MonotonicClock.Now + (5 * LoadMeter.Saturation); MonotonicClock.Now < end;)
        {
            // What has come too late for the last time.
            _poller.Wait(_poller.CreateBatch(8), timeoutNanoseconds: 0);
            _kernel.AfterFetch = _ =>
            {
                _kernel.AfterFetch = null;
                Array.ForEach(files, file => _kernel.Raise(file.Fd, LibC.EPOLLIN));
            };
            Work();
            TryBusyPollAgain();
            _kernel.AfterFetch = null;
        }

        Assert.Equal(1, _group.Idle.Count);
        Array.ForEach(sockets, static socket => socket.Close());
    }

    [Fact]
    public void It_is_not_for_one_beside_others()
    {
        Assert.True(_group.Idle.TryWakeOne());
        Assert.False(TryBusyPoll());
        Assert.Empty(_kernel.Waits);
    }

    [Fact]
    public void A_turn_ends_it_without_a_signal()
    {
        _kernel.AfterFetch = _ =>
        {
            _kernel.AfterFetch = null;
            _group.Schedule(new CallbackTurn());
        };
        Assert.True(TryBusyPoll());
        Assert.Equal(0, _kernel.EventFdWrites);
        Assert.True(_group.TryTakeTurn(Processor, out _));
    }

    [Fact]
    public void A_turn_of_another_processor_ends_it()
    {
        _kernel.AfterFetch = _ => _group.Processors[1].Queue.TryPush(new CallbackTurn());
        Assert.True(TryBusyPoll());
    }

    [Fact]
    public void A_deadline_ends_it()
    {
        _kernel.AfterFetch = _ =>
        {
            _kernel.AfterFetch = null;
            _group.ScheduleAt(new TurnTimer(new CallbackTurn()), MonotonicClock.Now);
        };
        Assert.True(TryBusyPoll());
    }

    [Fact]
    public void The_stop_ends_it()
    {
        _kernel.AfterFetch = _ => _group.RequestStop();
        Assert.True(TryBusyPoll());
    }

    // However long a busy machine stops the test: it polls at least once.
    private bool TryBusyPoll()
    {
        Work();
        return TryBusyPollAgain();
    }

    private bool TryBusyPollAgain()
    {
        Processor.IsGathered = true;
        long now = MonotonicClock.Now;
        return _group.TryBusyPoll(Processor, ref now);
    }

    // Not by setting the meter, which would begin anew with everything that it measures.
    private void Work(bool enough = true)
    {
        long began = MonotonicClock.Now;
        if (!enough)
        {
            Processor.Load.OnWoken(began);
        }

        long now = began;
        while (enough && now < began + BusyPolling.LeastWork)
        {
            now = MonotonicClock.Now;
        }

        Processor.Load.OnSleep(now);
        Processor.BusyPolling.OnSlept(1);
    }

    private void FindNothing()
    {
        Assert.True(IsWorthwhile);
        _decision.OnFoundNothing();
        Assert.False(IsWorthwhile);
    }

    private int ShortSleepsUntilWorthwhile()
    {
        int sleeps = 0;
        while (!IsWorthwhile)
        {
            _decision.OnSlept(1);
            sleeps++;
        }

        return sleeps;
    }
}
