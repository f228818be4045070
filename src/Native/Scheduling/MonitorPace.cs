using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>How long the monitor pauses between two looks, and whether it may be woken before.</summary>
/// <remarks>
/// <code>
///   pace     pauses                                                   woken by
///   Fast     20 µs for 1 ms after a hand-off, 50 µs to confirm a      nobody
///            suspicion, then twice as long each time, up to 800 µs;
///            400 µs while a turn lasts that was seen before
///   Slow     twice as long each time, up to 10 ms: over ten looks     a group's last sleeper that wakes up; output that is held
///            in a row have found a sleeper in every group, so that
///            new work is taken at once
///   Dozing   without an end: ten looks, 10 ms apart, saw no turn      any turn that begins; output that is held
/// </code>
/// The monitor moves to Slow and Dozing, with a full fence, and then makes sure that nothing has happened meanwhile; whoever finds it
/// there, after something has happened, moves it back to Fast and wakes it. One of the two sees the other.
/// <para>It takes more than ten looks because of workers that fall asleep for microseconds, as they do between the requests of a busy
/// connection: each of them would end the slow pace again, at the price of a system call and a switch of threads. On one processor, where
/// the monitor only runs while the worker does not, that was most of the time there is.</para>
/// </remarks>
/// <param name="adapts">False: all pauses are as long as the longest fast one. To measure what the pace gains.</param>
internal sealed class MonitorPace(bool adapts = true)
{
    /// <summary>Nanoseconds, as all pauses: for when it was told to hurry.</summary>
    internal const long Hurried = 250_000;

    private const int Fast = 0;
    private const int Slow = 1;
    private const int Dozing = 2;

    private const long Shortest = 20_000;
    private const long Confirming = 50_000;
    private const long WhileTurnLasts = 400_000;

    // With the time that a turn may hold output before others send it: 1 ms. On a busy virtual machine each look costs some 25 µs, nearly
    // all of it for sleeping.
    private const long LongestFast = MonotonicClock.NanosecondsPerMillisecond - SystemMonitor.HoldNanoseconds;
    private const long Longest = 10 * MonotonicClock.NanosecondsPerMillisecond;
    private const int LooksAfterHandOff = 50;
    private const int CalmLooksBeforeSlow = 10;
    private const int IdleLooksBeforeDozing = 10;

    // Interlocked: see above. The rest is the monitor's own. Idle looks count from the longest pause on.
    private int _pace;
    private long _pause = Shortest;
    private int _shortPauses;
    private int _calmLooks;
    private int _idleLooks;

    internal bool IsFast => Volatile.Read(ref _pace) == Fast;

    internal bool IsSlow => Volatile.Read(ref _pace) == Slow;

    internal bool IsDozing => Volatile.Read(ref _pace) == Dozing;

    /// <summary>Any thread. True: the caller, and nobody else, has ended the slow pace, and has to wake the monitor.</summary>
    internal bool TryHurry()
    {
        return Volatile.Read(ref _pace) != Fast && Interlocked.Exchange(ref _pace, Fast) != Fast;
    }

    /// <summary>For the monitor, once it was told to hurry.</summary>
    internal void OnHurried()
    {
        _pause = Hurried / 2;
        _calmLooks = 0;
        _idleLooks = 0;
    }

    /// <summary>For the monitor: how long to pause after a look; negative: until it is woken.</summary>
    internal long Next(MonitorFindings findings)
    {
        if (!adapts)
        {
            return LongestFast;
        }

        _calmLooks = findings.EveryGroupHasSleeper ? _calmLooks + 1 : 0;
        _idleLooks = findings.TurnRuns || _pause < Longest ? 0 : _idleLooks + 1;
        if (findings.HandedOff)
        {
            _pause = Shortest;
            _shortPauses = LooksAfterHandOff;
            return BeFast(_pause);
        }

        if (_shortPauses > 0)
        {
            _shortPauses--;
            return BeFast(Shortest);
        }

        if (findings.Suspicion)
        {
            return BeFast(Confirming);
        }

        if (_calmLooks <= CalmLooksBeforeSlow)
        {
            _pause = Math.Min(_pause * 2, LongestFast);
            return BeFast(findings.TurnLasts ? Math.Min(_pause, WhileTurnLasts) : _pause);
        }

        if (findings.OutputIsHeld)
        {
            // For one look: a turn that ends in time is no reason to be fast.
            return BeFast(LongestFast);
        }

        _pause = Math.Min(_pause * 2, Longest);

        bool doze = _pause == Longest && _idleLooks >= IdleLooksBeforeDozing;
        Interlocked.Exchange(ref _pace, doze ? Dozing : Slow);
        return doze ? -1 : _pause;
    }

    // Nobody need pay for waking a monitor that looks again soon.
    private long BeFast(long pause)
    {
        if (_pace != Fast)
        {
            Volatile.Write(ref _pace, Fast);
        }

        return pause;
    }
}
