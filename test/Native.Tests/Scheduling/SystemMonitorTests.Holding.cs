using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>What becomes of output that a turn holds.</summary>
public sealed partial class SystemMonitorTests
{
    /// <summary>No worker is to be had here.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_a_blocked_turn_holds_others_send(bool sleeper)
    {
        Arrange(Work.None, sleeper);
        HeldTurn output = Hold();
        _probe.InManagedWait = true;
        Assert.True(_monitor.Look(_now).OutputIsHeld);
        Assert.True(Processor.Holder!.HoldsOutput);
        _monitor.Look(_now);
        Assert.False(Processor.Holder!.HoldsOutput);
        AssertSent(output, onlyByGroup: sleeper);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_a_turn_has_held_for_200_us_others_send_also_if_it_was_not_seen_before(bool sleeper)
    {
        Arrange(Work.None, sleeper);
        HeldTurn output = Hold();
        _now += SystemMonitor.HoldNanoseconds;
        Assert.False(_monitor.Look(_now).Refused);
        Assert.False(Processor.Holder!.HoldsOutput);
        AssertSent(output, onlyByGroup: sleeper);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_a_turn_holds_that_was_seen_before_others_send_after_200_us(bool sleeper)
    {
        Arrange(Work.None, sleeper);
        HeldTurn output = Hold();
        _monitor.Look(_now);
        _now += SystemMonitor.HoldNanoseconds - 1;
        Assert.False(_monitor.Look(_now).Refused);
        Assert.True(Processor.Holder!.HoldsOutput);
        _now++;
        Assert.False(_monitor.Look(_now).Refused);
        Assert.False(Processor.Holder!.HoldsOutput);
        AssertSent(output, onlyByGroup: sleeper);
    }
}
