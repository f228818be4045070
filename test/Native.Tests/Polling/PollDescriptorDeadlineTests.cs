using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

/// <summary>Go's deadline rules, on a heap and a clock driven by hand.</summary>
public sealed class PollDescriptorDeadlineTests
{
    private readonly DeadlineHeap _heap = new();
    private readonly PollDescriptorTable _table;
    private readonly CallbackTurn _waiter = new();
    private PollDescriptor _descriptor;

    public PollDescriptorDeadlineTests()
    {
        _table = new PollDescriptorTable(_heap);
        _descriptor = _table.Allocate(null);
    }

    private PollDeadline ReadSide => PollDescriptorFields.ReadDeadline(_descriptor);

    // What PollDeadline's table says: value before, heap entry before, deadline set → value, heap entry, is an entry armed anew?
    [Theory]
    [InlineData(0, 0, 0, 0, 0, false)]
    [InlineData(0, 0, 100, 100, 100, true)]
    [InlineData(0, 0, -1, -1, 0, false)]
    [InlineData(100, 100, 100, 100, 100, false)]
    [InlineData(100, 100, 200, 200, 100, false)]
    [InlineData(100, 100, 50, 50, 50, true)]
    [InlineData(100, 100, 0, 0, 100, false)]
    [InlineData(100, 100, -1, -1, 100, false)]
    [InlineData(0, 100, 200, 200, 100, false)]
    [InlineData(0, 100, 50, 50, 50, true)]
    [InlineData(-1, 0, 0, 0, 0, false)]
    [InlineData(-1, 0, 100, 100, 100, true)]
    [InlineData(-1, 100, 100, 100, 100, false)]
    public void Setting(long value, long armedAt, long deadline, long valueAfter, long armedAtAfter, bool armed)
    {
        if (armedAt != 0)
        {
            Set(armedAt);
        }

        Set(value);
        Assert.Equal((value, armedAt), (ReadSide.Value, ReadSide.ArmedAt));
        uint sequence = ReadSide.Seq;

        Set(deadline);

        Assert.Equal((valueAfter, armedAtAfter), (ReadSide.Value, ReadSide.ArmedAt));
        Assert.Equal(armed ? sequence + 1 : sequence, ReadSide.Seq);
        Assert.Equal(armedAtAfter == 0 ? 0 : 1, _heap.Count);
        Assert.Equal(armedAtAfter == 0 ? DeadlineHeap.None : armedAtAfter, _heap.Earliest);
        Assert.Equal(valueAfter < 0, _descriptor.Info.Has(PollInfo.ReadExpired));
        Assert.False(_descriptor.Info.Has(PollInfo.WriteExpired));
    }

    // And when the entry fires: value, heap entry, now → value, heap entry, expired?
    [Theory]
    [InlineData(100, 100, 100, -1, 0, true)]
    [InlineData(100, 100, 150, -1, 0, true)]
    [InlineData(200, 100, 150, 200, 200, false)]
    [InlineData(200, 100, 200, -1, 0, true)]
    [InlineData(0, 100, 100, 0, 0, false)]
    [InlineData(-1, 100, 100, -1, 0, true)]
    public void Firing(long value, long armedAt, long now, long valueAfter, long armedAtAfter, bool expired)
    {
        Set(armedAt);
        Set(value);
        bool expiredBefore = _descriptor.Info.Has(PollInfo.ReadExpired);
        if (value > 0)
        {
            _descriptor.BeginWait(PollMode.Read, _waiter);
        }

        PollWaiter? released = FireAll(now);

        Assert.Equal((valueAfter, armedAtAfter), (ReadSide.Value, ReadSide.ArmedAt));
        Assert.Equal(expired, _descriptor.Info.Has(PollInfo.ReadExpired));
        Assert.Equal(expired && !expiredBefore ? _waiter : null, released);
        Assert.Equal(armedAtAfter == 0 ? 0 : 1, _heap.Count);
    }

    [Fact]
    public void Moving_it_later_a_thousand_times_does_not_touch_the_heap()
    {
        Set(100);
        uint sequence = ReadSide.Seq;
        for (int i = 1; i <= 1000; i++)
        {
            Set(100 + i);
        }

        Assert.Equal(sequence, ReadSide.Seq);
        Assert.Equal(100, _heap.Earliest);

        // One early firing, and the entry is where the deadline is.
        Assert.Null(FireAll(100));
        Assert.Equal(1100, _heap.Earliest);
        Assert.Equal(sequence + 1, ReadSide.Seq);
    }

    [Fact]
    public void The_earliest_deadline_is_reported_to_whoever_sets_it()
    {
        Assert.True(Set(100));
        Assert.False(Set(200));
        Assert.True(Set(50));
        Assert.False(Set(0));
        PollDescriptor other = _table.Allocate(null);
        Assert.False(other.SetDeadline(PollMode.Read, 60, out _));
        Assert.True(other.SetDeadline(PollMode.Write, 40, out _));
    }

    [Fact]
    public void Directions_are_independent()
    {
        _descriptor.SetDeadline(PollMode.Write, 100, out _);
        FireAll(100);
        Assert.Equal(PollResult.TimedOut, _descriptor.Prepare(PollMode.Write));
        Assert.Equal(PollResult.Ready, _descriptor.Prepare(PollMode.Read));
    }

    [Fact]
    public void A_deadline_in_the_past_releases_the_waiter_at_once()
    {
        _descriptor.BeginWait(PollMode.Read, _waiter);
        _descriptor.SetDeadline(PollMode.Read, PollDeadline.Expired, out PollWaiter? released);
        Assert.Same(_waiter, released);
        Assert.Equal(PollResult.TimedOut, _descriptor.EndWait(PollMode.Read));
        Assert.Equal(PollResult.TimedOut, _descriptor.Prepare(PollMode.Read));
    }

    [Fact]
    public void A_deadline_in_the_past_fails_operations_even_when_there_is_data()
    {
        _descriptor.OnEvent(_descriptor.Info.Fdseq, PollReadiness.Readable, new ReadyList(1));
        Set(PollDeadline.Expired);
        Assert.Equal(PollResult.TimedOut, _descriptor.Prepare(PollMode.Read));
    }

    [Fact]
    public void Clearing_or_moving_it_revives_the_descriptor()
    {
        foreach (long deadline in (long[])[PollDeadline.None, 1000])
        {
            Set(PollDeadline.Expired);
            Set(deadline);
            Assert.Equal(PollResult.Ready, _descriptor.Prepare(PollMode.Read));
        }
    }

    /// <summary>Timed out, but the deadline was moved before the waiter ran: nothing happened, it parks again.</summary>
    [Fact]
    public void A_waiter_whose_deadline_moves_before_it_runs_is_not_told_of_a_timeout()
    {
        Set(100);
        _descriptor.BeginWait(PollMode.Read, _waiter);
        Assert.Same(_waiter, FireAll(100));
        Set(200);
        Assert.Equal(PollResult.Ready, _descriptor.EndWait(PollMode.Read));
        Assert.Equal(PollResult.Pending, _descriptor.BeginWait(PollMode.Read, _waiter));
        Assert.Same(_waiter, FireAll(200));
        Assert.Equal(PollResult.TimedOut, _descriptor.EndWait(PollMode.Read));
    }

    [Fact]
    public void Readiness_that_comes_with_the_timeout_wins_once()
    {
        Set(100);
        _descriptor.BeginWait(PollMode.Read, _waiter);
        _descriptor.OnEvent(_descriptor.Info.Fdseq, PollReadiness.Readable, new ReadyList(1));
        Assert.Null(FireAll(100));
        Assert.Equal(PollResult.Ready, _descriptor.EndWait(PollMode.Read));
        Assert.Equal(PollResult.TimedOut, _descriptor.Prepare(PollMode.Read));
    }

    [Fact]
    public void A_close_outranks_a_timeout()
    {
        Set(PollDeadline.Expired);
        _descriptor.Evict();
        Assert.Equal(PollResult.Closing, _descriptor.Prepare(PollMode.Read));
    }

    [Fact]
    public void A_close_takes_both_entries_out_and_later_deadlines_are_ignored()
    {
        Set(100);
        _descriptor.SetDeadline(PollMode.Write, 200, out _);
        Assert.Equal(2, _heap.Count);

        _descriptor.Evict();
        Assert.Equal(0, _heap.Count);
        Assert.Equal(DeadlineHeap.None, _heap.Earliest);
        Assert.False(Set(50));
        Assert.Equal(0, _heap.Count);
    }

    /// <summary>A firing that was under way when the file was closed must not hit the slot's next file.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_stale_firing_is_ignored(bool reopened)
    {
        Set(100);
        Assert.True(_heap.TryTakeExpired(100, out DeadlineTimer timer, out uint sequence));

        _descriptor.Evict();
        if (reopened)
        {
            _table.Release(_descriptor);
            Assert.Same(_descriptor, _descriptor = _table.Allocate(null));
            Set(100);
            _descriptor.BeginWait(PollMode.Read, _waiter);
        }

        Assert.Null(((PollDeadline)timer).Fire(sequence, now: 100, out _));
        Assert.False(_descriptor.Info.Has(PollInfo.ReadExpired));
        Assert.Equal(reopened ? 1 : 0, _heap.Count);
        if (reopened)
        {
            Assert.Same(_waiter, FireAll(100));
        }
    }

    [Fact]
    public void A_firing_under_way_is_ignored_when_the_deadline_moves_earlier()
    {
        Set(100);
        Assert.True(_heap.TryTakeExpired(100, out DeadlineTimer timer, out uint sequence));
        Set(90);
        Assert.Null(((PollDeadline)timer).Fire(sequence, now: 100, out _));
        Assert.Equal(90, _heap.Earliest);
        FireAll(100);
        Assert.True(_descriptor.Info.Has(PollInfo.ReadExpired));
    }

    [Theory]
    [InlineData(100, nameof(DeadlineOutcome.Passed))]
    [InlineData(200, nameof(DeadlineOutcome.Rearmed))]
    [InlineData(PollDeadline.None, nameof(DeadlineOutcome.Void))]
    [InlineData(PollDeadline.Expired, nameof(DeadlineOutcome.Void))]
    public void What_becomes_of_a_firing_is_told(long movedTo, string expected)
    {
        Set(100);
        Set(movedTo);
        Assert.True(_heap.TryTakeExpired(100, out DeadlineTimer timer, out uint sequence));
        ((PollDeadline)timer).Fire(sequence, now: 100, out DeadlineOutcome outcome);

        Assert.Equal(expected, outcome.ToString());
    }

    [Fact]
    public void A_reopened_slot_has_no_deadline()
    {
        Set(PollDeadline.Expired);
        _descriptor.Evict();
        _table.Release(_descriptor);
        _descriptor = _table.Allocate(null);
        Assert.Equal(PollDeadline.None, ReadSide.Value);
        Assert.Equal(PollResult.Ready, _descriptor.Prepare(PollMode.Read));
    }

    private bool Set(long deadline) => _descriptor.SetDeadline(PollMode.Read, deadline, out _);

    private PollWaiter? FireAll(long now)
    {
        PollWaiter? released = null;
        while (_heap.TryTakeExpired(now, out DeadlineTimer timer, out uint sequence))
        {
            released = ((PollDeadline)timer).Fire(sequence, now, out _) ?? released;
        }

        return released;
    }
}
