using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Finds turns that are blocked for so long that somebody is to be told: those that have their processor, which the monitor looks at
/// anyway, and those that have lost it, which are remembered here for this. The monitor's own; costs nothing while no turn lasts.
/// </summary>
/// <remarks>
/// A turn that has lost its processor is looked at again after a while, and forgotten if it has ended. The while grows with the turn's age,
/// from 100 ms to a second, so that thousands of blocked turns cost little, and so that a connection which has ended is not kept for long.
/// </remarks>
internal sealed class BlockedTurnWatch
{
    internal const long ShortestPause = 100 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long LongestPause = 1000 * MonotonicClock.NanosecondsPerMillisecond;

    private const int AgeOfPause = 4;
    private const int Growth = 10;

    private readonly IMonitorObserver _observer;
    private readonly BlockedTurnProbe _probe;
    private readonly long _threshold;
    private readonly PriorityQueue<LostTurn, long> _lost = new();

    private BlockedTurnWatch(IMonitorObserver observer, BlockedTurnProbe probe)
    {
        _observer = observer;
        _probe = probe;
        _threshold = observer.BlockedTurnThreshold;
    }

    /// <summary>Turns that have lost their processor and are not known to have ended.</summary>
    internal int Count => _lost.Count;

    /// <summary>Null: nobody wants to be told.</summary>
    internal static BlockedTurnWatch? Create(IMonitorObserver? observer, BlockedTurnProbe probe) =>
        observer is { BlockedTurnThreshold: > 0 } ? new BlockedTurnWatch(observer, probe) : null;

    /// <summary>A turn that has its processor was seen again.</summary>
    internal void OnTurnLasts(WatchedProcessor watched, Worker worker, long now)
    {
        long age = now - watched.Since;
        if (age < NextReport(watched.BlockedFor))
        {
            return;
        }

        Processor processor = watched.Processor;
        Turn? turn = processor.Current;
        if (processor.State == watched.State)
        {
            watched.BlockedFor = Tell(worker, processor, watched.State, turn, age);
        }
    }

    /// <summary>A turn has been made to lose its processor. It may have ended since.</summary>
    internal void OnHandedOff(WatchedProcessor watched, Worker worker, Turn? turn, long now)
    {
        var lost = new LostTurn(worker, watched.Processor, watched.State, turn, watched.Since, watched.BlockedFor);
        Enqueue(lost, now);
    }

    /// <summary>Looks at the turns whose time has come.</summary>
    internal void Look(long now)
    {
        while (_lost.TryPeek(out LostTurn lost, out long due) && due <= now)
        {
            _lost.Dequeue();
            if (!lost.Worker.IsStillIn(lost.Processor, lost.State))
            {
                continue;
            }

            long age = now - lost.Since;
            if (age >= NextReport(lost.BlockedFor))
            {
                lost = lost with { BlockedFor = Tell(lost.Worker, lost.Processor, lost.State, lost.Turn, age) };
            }

            Enqueue(lost, now);
        }
    }

    /// <summary>How long the monitor may pause: negative is without an end.</summary>
    internal long Limit(long pause, long now)
    {
        if (!_lost.TryPeek(out _, out long due))
        {
            return pause;
        }

        long left = Math.Max(0, due - now);
        return pause < 0 ? left : Math.Min(pause, left);
    }

    private void Enqueue(in LostTurn lost, long now)
    {
        long pause = Math.Clamp((now - lost.Since) / AgeOfPause, ShortestPause, LongestPause);
        _lost.Enqueue(lost, Math.Min(now + pause, lost.Since + NextReport(lost.BlockedFor)));
    }

    private long Tell(Worker worker, Processor processor, long state, Turn? turn, long age)
    {
        _observer.OnBlockedTurn(new BlockedTurnSighting(worker, processor, state, turn, age, _probe.IsInManagedWait(worker)));
        return age;
    }

    // The first time at the threshold, and then whenever it has lasted ten times as long as the last time.
    private long NextReport(long blockedFor) =>
        blockedFor == 0 ? _threshold : blockedFor > long.MaxValue / 2 / Growth ? long.MaxValue / 2 : blockedFor * Growth;

    private readonly record struct LostTurn(Worker Worker, Processor Processor, long State, Turn? Turn, long Since, long BlockedFor);
}
