using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>The table of <see cref="MonitorPace"/>, in microseconds.</summary>
public sealed class MonitorPaceTests
{
    private static readonly MonitorFindings Nothing = new() { EveryGroupHasSleeper = false };
    private static readonly MonitorFindings Turn = new() { TurnRuns = true };
    private static readonly MonitorFindings Suspicion = new() { TurnRuns = true, Suspicion = true };
    private static readonly MonitorFindings HandedOff = new() { TurnRuns = true, HandedOff = true };
    private static readonly MonitorFindings Asleep = new() { EveryGroupHasSleeper = true };
    private static readonly MonitorFindings AsleepBesideATurn = new() { EveryGroupHasSleeper = true, TurnRuns = true };

    private readonly MonitorPace _pace = new();

    [Fact]
    public void Pauses_double_up_to_eight_tenths_of_a_millisecond()
    {
        AssertPauses(Turn, 40, 80, 160, 320, 640, 800, 800);
        AssertPauses(Nothing, 800);
        AssertPace(slow: false, dozing: false);
    }

    [Fact]
    public void Without_it_all_pauses_are_the_same()
    {
        var pace = new MonitorPace(adapts: false);
        MonitorFindings[] findings = [Turn, Suspicion, HandedOff, .. Enumerable.Repeat(Asleep, 30)];
        Assert.All(findings, found => Assert.Equal(800_000, pace.Next(found)));
        Assert.True(pace.IsFast);
    }

    [Fact]
    public void A_suspicion_is_confirmed_soon_and_changes_nothing_else()
    {
        AssertPauses(Turn, 40, 80);
        AssertPauses(Suspicion, 50);
        AssertPauses(Suspicion, 50);
        AssertPauses(Turn, 160);
    }

    [Fact]
    public void While_a_turn_lasts_it_looks_more_often_and_changes_nothing_else()
    {
        MonitorFindings lasts = Turn with { TurnLasts = true };
        AssertPauses(lasts, 40, 80, 160, 320, 400, 400);
        AssertPauses(Turn, 800);
        AssertPauses(AsleepBesideATurn with { TurnLasts = true }, 400);
        AssertPauses(AsleepBesideATurn, 800);
    }

    [Fact]
    public void Held_output_ends_the_slow_pace_for_one_look()
    {
        AssertPauses(Turn, 40, 80, 160, 320, 640);
        AssertPauses(AsleepBesideATurn with { OutputIsHeld = true }, [.. Enumerable.Repeat(800, 12)]);
        AssertPauses(AsleepBesideATurn, 1600);
        AssertPace(slow: true, dozing: false);
        AssertPauses(AsleepBesideATurn with { OutputIsHeld = true }, 800);
        AssertPace(slow: false, dozing: false);
        AssertPauses(AsleepBesideATurn, 3200);
        AssertPace(slow: true, dozing: false);
    }

    [Fact]
    public void After_a_hand_off_it_looks_often_for_a_millisecond()
    {
        AssertPauses(Turn, 40, 80, 160, 320, 640);
        AssertPauses(HandedOff, 20);
        AssertPauses(Suspicion, 20);
        AssertPauses(Turn, [.. Enumerable.Repeat(20, 49)]);
        AssertPauses(Turn, 40, 80);

        // Another one begins it anew.
        AssertPauses(HandedOff, 20);
        AssertPauses(Turn, 20);
        AssertPauses(HandedOff, 20);
        AssertPauses(Turn, [.. Enumerable.Repeat(20, 50)]);
        AssertPauses(Turn, 40);
    }

    [Fact]
    public void It_becomes_slow_after_ten_looks_that_found_a_sleeper_in_every_group()
    {
        AssertPauses(AsleepBesideATurn, 40, 80, 160, 320, 640, 800, 800, 800, 800, 800);
        AssertPace(slow: false, dozing: false);
        AssertPauses(AsleepBesideATurn, 1600);
        AssertPace(slow: true, dozing: false);
        AssertPauses(AsleepBesideATurn, 3200, 6400, 10_000);

        // While a turn runs it does not doze, however long that takes.
        AssertPauses(AsleepBesideATurn, [.. Enumerable.Repeat(10_000, 100)]);
        AssertPace(slow: true, dozing: false);

        AssertPauses(Turn, 800);
    }

    [Fact]
    public void One_look_without_a_sleeper_begins_the_count_anew()
    {
        AssertPauses(AsleepBesideATurn, 40, 80, 160, 320, 640, 800, 800, 800, 800, 800);
        AssertPauses(Turn, 800);
        AssertPauses(AsleepBesideATurn, [.. Enumerable.Repeat(800, 10)]);
        AssertPace(slow: false, dozing: false);
        AssertPauses(AsleepBesideATurn, 1600);
        AssertPace(slow: true, dozing: false);
    }

    [Fact]
    public void It_dozes_after_no_turn_was_seen_for_a_tenth_of_a_second()
    {
        AssertPauses(Asleep, 40, 80, 160, 320, 640, 800, 800, 800, 800, 800, 1600, 3200, 6400, 10_000);
        AssertPauses(Asleep, [.. Enumerable.Repeat(10_000, 9)]);
        AssertPauses(AsleepBesideATurn, 10_000);
        AssertPauses(Asleep, [.. Enumerable.Repeat(10_000, 9)]);
        AssertPace(slow: true, dozing: false);
        Assert.True(_pace.Next(Asleep) < 0);
        AssertPace(slow: false, dozing: true);
    }

    [Fact]
    public void It_does_not_doze_while_nobody_sleeps()
    {
        AssertPauses(Asleep, 40, 80, 160, 320, 640, 800);
        AssertPauses(Nothing, [.. Enumerable.Repeat(800, 100)]);
    }

    [Fact]
    public void Hurrying_begins_the_pauses_anew()
    {
        Doze();
        Assert.True(_pace.TryHurry());
        AssertPace(slow: false, dozing: false);
        _pace.OnHurried();
        AssertPauses(Turn, 250, 500, 800, 800);
    }

    [Fact]
    public void Hurrying_begins_the_idle_time_anew()
    {
        Doze();
        Assert.True(_pace.TryHurry());
        _pace.OnHurried();
        AssertPauses(Asleep, 250, 500, 800, 800, 800, 800, 800, 800, 800, 800, 1600, 3200, 6400, 10_000);
        AssertPauses(Asleep, [.. Enumerable.Repeat(10_000, 9)]);
        Assert.True(_pace.Next(Asleep) < 0);
    }

    [Fact]
    public void One_that_is_fast_need_not_hurry()
    {
        Assert.False(_pace.TryHurry());
        Doze();
        Assert.True(_pace.TryHurry());
        Assert.False(_pace.TryHurry());
    }

    [Fact]
    public void Of_two_that_hurry_it_one_succeeds()
    {
        bool mine = false, others = false;
        Rendezvous.Race(
            rounds: 4_000,
            prepare: _ => Doze(),
            mine: _ => mine = _pace.TryHurry(),
            other: _ => others = _pace.TryHurry(),
            check: round => Assert.True(mine ^ others, $"round {round}: {mine}, {others}"));
    }

    private void Doze() => Patience.Until(() => _pace.Next(Asleep) < 0, "it dozes");

    private void AssertPauses(MonitorFindings findings, params int[] microseconds) =>
        Assert.All(microseconds, expected => Assert.Equal(expected * 1000L, _pace.Next(findings)));

    private void AssertPace(bool slow, bool dozing) => Assert.Equal((slow, dozing), (_pace.IsSlow, _pace.IsDozing));
}
