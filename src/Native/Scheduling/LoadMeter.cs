using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What the holder of a processor knows of its own load: how long turns take, how often it sleeps, whether it ever gets
/// done.</summary>
/// <remarks>
/// All times in nanoseconds. The clock is read once for each look at the poller, not for each turn: a turn that was preempted, or two, must
/// not look like an app that computes for long, hence the window.
/// </remarks>
internal sealed class LoadMeter(WorkerCounters counters)
{
    /// <summary>Turns that take longer, on the average of a window, are long: others had better not wait for them.</summary>
    internal const long LongTurn = 50_000;

    /// <summary>Sleeps that follow each other faster cost more than the work between them.</summary>
    internal const long FrequentSleep = 200_000;

    /// <summary>A sleep that lasts longer shows that there is little to do.</summary>
    internal const long LongSleep = 2 * MonotonicClock.NanosecondsPerMillisecond;

    /// <summary>
    /// Who has been awake for so long, and still finds more events than it takes at once, needs help. Long enough for a wave to pass:
    /// clients that answer at once keep whoever serves them busy anyway. Where they share the cores with it, a second worker takes its time
    /// from them.
    /// </summary>
    internal const long Saturation = 5 * MonotonicClock.NanosecondsPerMillisecond;

    /// <summary>A sleep that lasts no longer was none: there was something to do already.</summary>
    internal const long NoSleep = 5_000;

    private const long MostPerTurn = 1 * MonotonicClock.NanosecondsPerMillisecond;
    private const int WindowTurns = 256;
    private const long Window = 20 * MonotonicClock.NanosecondsPerMillisecond;

    // When its time was last counted (0: never), when it last began to sleep, and when the sleep ended.
    private long _countedAt;
    private long _sleptAt;
    private long _wokenAt;

    // Since when there has always been more to do than it took.
    private long _fullSince;

    // The window: time outside of sleeps, and the count of turns at its start.
    private long _busyTime;
    private long _turnsBefore;

    // The count of turns when time was last counted.
    private long _turnsCounted;

    /// <summary>Has the last window shown that turns take long?</summary>
    internal bool TurnsAreLong { get; private set; }

    /// <summary>It is about to sleep. True: it did so a moment ago.</summary>
    internal bool OnSleep(long now)
    {
        bool frequent = now - _sleptAt < FrequentSleep;
        _sleptAt = now;
        Count(now);
        return frequent;
    }

    /// <summary>It has slept, or polled for a while instead. True: for long.</summary>
    internal bool OnWoken(long now)
    {
        _countedAt = now;
        _fullSince = now;
        _wokenAt = now;
        return now - _sleptAt > LongSleep;
    }

    /// <summary>At the beginning of a sleep: how long ago the last one that was one, or what stood in for it, has ended.</summary>
    internal long WorkedFor => _sleptAt - _wokenAt;

    /// <summary>It has slept. True: for no time.</summary>
    internal bool IsNoSleep(long now) => now - _sleptAt <= NoSleep;

    /// <summary>It has looked at the poller without sleeping. True, at most once in <see cref="Saturation"/>: it needs help.</summary>
    internal bool OnPolled(long now, bool full)
    {
        Count(now);
        if (full && now - _fullSince <= Saturation)
        {
            return false;
        }

        _fullSince = now;
        return full;
    }

    // A turn counts for 1 ms at most. One that really lasts is the monitor's business. A process that the kernel has stopped, because its
    // CPU quota is used up, has not worked meanwhile.
    private void Count(long now)
    {
        long most = Math.Max(1, counters.Turns - _turnsCounted) * MostPerTurn;
        _busyTime += _countedAt == 0 ? 0 : Math.Min(now - _countedAt, most);
        _countedAt = now;
        _turnsCounted = counters.Turns;
        long turns = counters.Turns - _turnsBefore;
        if (turns >= WindowTurns || _busyTime >= Window)
        {
            TurnsAreLong = turns != 0 && _busyTime > turns * LongTurn;
            _busyTime = 0;
            _turnsBefore = counters.Turns;
        }
    }
}
