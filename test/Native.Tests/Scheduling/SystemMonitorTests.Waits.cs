using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Waits that the runtime knows of: a long one, and several short ones.</summary>
public sealed partial class SystemMonitorTests
{
    [Theory]
    [InlineData(Work.None, false, true)]
    [InlineData(Work.None, true, false)]
    [InlineData(Work.LaterDeadline, false, true)]
    [InlineData(Work.LaterDeadline, true, false)]
    [InlineData(Work.Events, true, false)]
    [InlineData(Work.InOtherQueue, true, false)]
    [InlineData(Work.InOwnQueue, true, true)]
    [InlineData(Work.InGroupQueue, true, true)]
    [InlineData(Work.DueDeadline, true, true)]
    [InlineData(Work.InOwnQueue, false, true)]
    [InlineData(Work.InGroupQueue, false, true)]
    [InlineData(Work.DueDeadline, false, true)]
    public void A_managed_wait_at_two_looks(Work work, bool sleeper, bool wanted)
    {
        Arrange(work, sleeper);
        _probe.InManagedWait = true;
        Assert.False(WantsAfter(0));
        Assert.Equal(wanted, WantsAfter(1));

        // After 10 ms it makes no difference.
        Assert.True(WantsAfter(9));
        Assert.Equal(0, _probe.KernelLooks);
    }

    /// <summary>A lock that many want for microseconds: another worker would be one more that wants it.</summary>
    [Fact]
    public void Different_waits_are_not_one_long_wait()
    {
        Arrange(Work.InOwnQueue, sleeper: false);
        _probe.InManagedWait = true;
        Assert.False(WantsAfter(0));
        for (int i = 0; i < 9; i++)
        {
            _probe.CpuTime++;
            MonitorFindings findings = _monitor.Look(_now += Millisecond);
            Assert.Equal((false, true), (findings.Refused, findings.Suspicion));
        }

        // After 10 ms others go on beside it, as beside one that computes.
        _probe.CpuTime++;
        Assert.True(WantsAfter(1));
    }

    [Fact]
    public void One_of_many_waits_may_turn_out_to_be_long()
    {
        Arrange(Work.InOwnQueue, sleeper: false);
        _probe.InManagedWait = true;
        Assert.False(WantsAfter(0));
        _probe.CpuTime++;
        Assert.False(WantsAfter(1));
        Assert.True(WantsAfter(0));
    }

    [Fact]
    public void Where_waits_are_short_only_those_of_a_millisecond_count()
    {
        for (int i = 0; i < ShortWaits.Most / 2; i++)
        {
            _probe.CpuTime = 100;
            _monitor.ShortWaits.OnHandedOff(Processor.Holder!, 100, _now);
            _probe.CpuTime = 101;
            _monitor.Look(_now += Millisecond);
        }

        Arrange(Work.InOwnQueue, sleeper: false);
        _probe.InManagedWait = true;
        Assert.False(WantsAfter(0));
        for (int i = 0; i < 9; i++)
        {
            MonitorFindings findings = _monitor.Look(_now += Millisecond / 10);
            Assert.Equal((false, false), (findings.Refused, findings.Suspicion));
        }

        _now += Millisecond / 10;
        Assert.True(WantsAfter(0));
    }

    [Fact]
    public void A_managed_wait_that_is_over_at_the_second_look_is_none()
    {
        Arrange(Work.InOwnQueue, sleeper: false);
        for (int i = 0; i < 4; i++)
        {
            _probe.InManagedWait = true;
            Assert.False(WantsAfter(0));
            _probe.InManagedWait = false;
            Assert.False(WantsAfter(0));
        }
    }

    [Fact]
    public void A_managed_wait_that_begins_later_needs_two_looks_as_well()
    {
        Arrange(Work.InOwnQueue, sleeper: false);
        Assert.False(WantsAfter(0));
        _probe.InManagedWait = true;
        MonitorFindings findings = _monitor.Look(_now);
        Assert.True(findings.Suspicion);
        Assert.False(findings.Refused);
        Assert.True(WantsAfter(0));
    }

    /// <summary>For who asks how many workers are missing.</summary>
    [Fact]
    public void A_turn_that_goes_on_wants_no_other_worker_any_more()
    {
        Arrange(Work.InOwnQueue, sleeper: true);
        _probe.InManagedWait = true;
        Assert.True(WantsAfter(0, 1));
        Assert.Equal(1, _group.RefusedTurns);
        _probe.InManagedWait = false;
        Assert.False(WantsAfter(1));
        Assert.Equal(0, _group.RefusedTurns);
    }
}
