using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>
/// Falling asleep and being woken, step by step, without threads: who signals when, and who must not sleep. The windows between the
/// steps are nanoseconds wide, so that no stress finds them reliably.
/// </summary>
public sealed class WorkerGroupProtocolTests : IDisposable
{
    private readonly SimulatedKernel _kernel = new();
    private readonly DeadlineHeap _heap = new();
    private readonly ThreadLocal<Worker?> _current = new();
    private readonly EpollPoller _poller;
    private readonly WorkerGroup _group;

    public WorkerGroupProtocolTests()
    {
        _poller = new EpollPoller(_kernel, _heap, EpollEventLayout.Current);
        _group = Groups.CreateByHand(processors: 3, batchSize: 1, _poller, _kernel, _current);
    }

    public void Dispose()
    {
        _poller.Dispose();
        _current.Dispose();
    }

    [Fact]
    public void Without_a_sleeper_a_turn_signals_nobody()
    {
        _group.Schedule(new CallbackTurn());
        Assert.Equal(0, _kernel.EventFdWrites);
    }

    [Fact]
    public void With_a_sleeper_turns_signal_once()
    {
        Sleep(0);
        _group.Schedule(new CallbackTurn());
        _group.Schedule(new CallbackTurn());
        Assert.Equal(1, _kernel.EventFdWrites);
    }

    [Fact]
    public void A_worker_does_not_fall_asleep_over_a_turn()
    {
        _group.Schedule(new CallbackTurn());
        Assert.False(_group.TryBeginSleep(_group.Processors[0], out _));

        // It does not count as a sleeper, either.
        _group.Schedule(new CallbackTurn());
        Assert.Equal(0, _kernel.EventFdWrites);
        Assert.Equal(Processor.Awake, _group.Processors[0].SleepsUntil);
    }

    [Fact]
    public void A_worker_does_not_fall_asleep_when_it_should_leave()
    {
        _group.RequestStop();
        Assert.False(_group.TryBeginSleep(_group.Processors[0], out _));
    }

    [Fact]
    public void A_worker_that_has_ended_its_sleep_needs_no_signal()
    {
        Sleep(0);
        _group.EndSleep(_group.Processors[0]);
        _group.Schedule(new CallbackTurn());
        Assert.Equal(0, _kernel.EventFdWrites);
    }

    [Fact]
    public void A_worker_sleeps_until_the_earliest_deadline()
    {
        Assert.Equal(DeadlineHeap.None, Sleep(0));
        PollDescriptor descriptor = Descriptor();
        SetDeadline(descriptor, 1000);
        Assert.Equal(1000, Sleep(1));
    }

    [Fact]
    public void Without_a_sleeper_a_deadline_signals_nobody()
    {
        SetDeadline(Descriptor(), 1000);
        Assert.Equal(0, _kernel.EventFdWrites);
    }

    [Fact]
    public void A_deadline_signals_when_nobody_sleeps_until_it()
    {
        PollDescriptor descriptor = Descriptor();
        Sleep(0);
        SetDeadline(descriptor, 1000);
        Assert.Equal(1, _kernel.EventFdWrites);
    }

    [Fact]
    public void A_deadline_that_a_sleeper_covers_signals_nobody()
    {
        SetDeadline(Descriptor(), 1000);
        Sleep(0);
        SetDeadline(Descriptor(), 1000);
        SetDeadline(Descriptor(), 2000);
        Assert.Equal(0, _kernel.EventFdWrites);
        SetDeadline(Descriptor(), 999);
        Assert.Equal(1, _kernel.EventFdWrites);
    }

    [Fact]
    public void One_sleeper_that_covers_it_is_enough()
    {
        Sleep(0);
        SetDeadline(Descriptor(), 1000);
        TakeSignal();
        Sleep(1);
        SetDeadline(Descriptor(), 1000);
        _group.PassOn(_group.Processors[2]);
        Assert.Equal(1, _kernel.EventFdWrites);
    }

    [Fact]
    public void Passing_on_signals_for_turns_that_are_left()
    {
        _group.PassOn(_group.Processors[2]);
        Sleep(0);
        _group.PassOn(_group.Processors[2]);
        Assert.Equal(0, _kernel.EventFdWrites);

        // What a publisher signalled was taken in by a worker that now runs something else.
        _group.Schedule(new CallbackTurn());
        TakeSignal();
        _group.PassOn(_group.Processors[2]);
        Assert.Equal(2, _kernel.EventFdWrites);
    }

    /// <summary>The worker was woken for one of them, and has found something else.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Passing_on_signals_for_turns_that_another_processor_has_fetched(int other)
    {
        Sleep(1 - other);
        Assert.True(_group.Processors[other].Queue.TryPush(new CallbackTurn()));
        _group.PassOn(_group.Processors[2]);
        Assert.Equal(1, _kernel.EventFdWrites);
    }

    [Theory]
    [InlineData(0, true, 0)]
    [InlineData(1, true, 0)]
    [InlineData(2, true, 1)]
    [InlineData(0, false, 0)]
    [InlineData(1, false, 1)]
    public void Passing_on_signals_for_what_will_be_left_in_its_own_queue(int queued, bool nextFromOwnQueue, int signals)
    {
        Sleep(0);
        for (int i = 0; i < queued; i++)
        {
            Assert.True(_group.Processors[2].Queue.TryPush(new CallbackTurn()));
        }

        _group.PassOn(_group.Processors[2], nextFromOwnQueue);
        Assert.Equal(signals, _kernel.EventFdWrites);
    }

    /// <summary>While it was out of the heap, a worker that fell asleep saw none; the one that has put it back may run a turn next.</summary>
    [Fact]
    public void A_deadline_that_turns_out_to_be_later_is_passed_on()
    {
        PollDescriptor descriptor = Descriptor();
        Sleep(0);
        SetDeadline(descriptor, 1000);
        TakeSignal();
        SetDeadline(descriptor, MonotonicClock.After(TimeSpan.FromHours(1)));
        Assert.Equal(1, _kernel.EventFdWrites);
        Assert.Equal(1000, _heap.Earliest);
        _group.FireDeadlines(_group.Processors[2]);
        Assert.Equal(1, _group.Processors[2].Counters.DeadlinesFired);
        Assert.Equal((0, 1), (_group.CountDeadlines(DeadlineOutcome.Passed), _group.CountDeadlines(DeadlineOutcome.Rearmed)));
        Assert.True(_group.Processors[2].Queue.IsEmpty);
        Assert.Equal(2, _kernel.EventFdWrites);
    }

    [Fact]
    public void Passing_on_signals_for_a_deadline_that_the_worker_had_covered()
    {
        Sleep(1);
        SetDeadline(Descriptor(), 1000);
        TakeSignal();
        Sleep(0);
        _group.PassOn(_group.Processors[2]);
        Assert.Equal(1, _kernel.EventFdWrites);

        // The worker that covers it is woken by an event, and the other one sleeps without a limit.
        _group.EndSleep(_group.Processors[0]);
        _group.PassOn(_group.Processors[2]);
        Assert.Equal(2, _kernel.EventFdWrites);
    }

    [Fact]
    public void Passing_on_without_sleepers_signals_nobody()
    {
        SetDeadline(Descriptor(), 1000);
        _group.Schedule(new CallbackTurn());
        _group.PassOn(_group.Processors[2]);
        Assert.Equal(0, _kernel.EventFdWrites);
    }

    [Fact]
    public void A_deadline_in_the_past_schedules_its_waiter()
    {
        PollDescriptor descriptor = Descriptor();
        CallbackTurn waiter = new();
        Assert.Equal(PollResult.Pending, descriptor.BeginWait(PollMode.Read, waiter));
        Sleep(0);
        SetDeadline(descriptor, PollDeadline.Expired);
        Assert.Equal(1, _kernel.EventFdWrites);
        Assert.True(_group.TryTakeTurn(_group.Processors[0], out Turn? turn));
        Assert.Same(waiter, turn);
    }

    private long Sleep(int worker)
    {
        Assert.True(_group.TryBeginSleep(_group.Processors[worker], out long until));
        Assert.Equal(until, _group.Processors[worker].SleepsUntil);
        return until;
    }

    private PollDescriptor Descriptor() => _poller.Table.Allocate(hangupWaiter: null);

    private void SetDeadline(PollDescriptor descriptor, long deadline) => _group.SetDeadline(descriptor, PollMode.Read, deadline);

    private void TakeSignal() => _poller.Wait(_poller.CreateBatch(1), timeoutNanoseconds: 0);
}
