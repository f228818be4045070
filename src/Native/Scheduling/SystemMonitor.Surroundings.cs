namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What the monitor looks at besides the processors, one by one, and whom it tells.</summary>
internal sealed partial class SystemMonitor
{
    private readonly IMonitorObserver? _observer;
    private readonly BlockedTurnWatch? _blockedTurns;

    /// <summary>For tests: until it is woken, the monitor does not look any more.</summary>
    internal bool DozesWithoutEnd => _pace.IsDozing && _blockedTurns is not { Count: > 0 };

    private static HandOffReason ReasonOf(WatchedProcessor watched, bool inKernel, bool blocked, bool computes)
    {
        if (inKernel)
        {
            return HandOffReason.KernelWait;
        }

        if (blocked)
        {
            return HandOffReason.ManagedWait;
        }

        if (watched.IsRestless)
        {
            return HandOffReason.ShortWaits;
        }

        return computes ? HandOffReason.Computing : HandOffReason.LongTurn;
    }

    // The turn may have ended just before: then nothing was handed off.
    private void TellOfHandOff(WatchedProcessor watched, Worker worker, Turn? turn, HandOffReason reason, long now)
    {
        if (watched.Processor.Holder == worker)
        {
            return;
        }

        watched.Group.CountHandOff(reason);
        _blockedTurns?.OnHandedOff(watched, worker, turn, now);
        if (_observer is { WantsHandOffs: true })
        {
            _observer.OnHandedOff(reason, now - watched.Since);
        }
    }

    private bool EveryGroupHasSleeper()
    {
        foreach (WorkerGroup group in _groups)
        {
            if (group.Sleepers == 0)
            {
                return false;
            }
        }

        return true;
    }

    private bool OutputIsHeldOrWorkIsQueued()
    {
        foreach (WorkerGroup group in _groups)
        {
            if (group.HoldsOutput() || group.HasQueuedWork)
            {
                return true;
            }
        }

        return false;
    }

    private bool NoTurnRuns()
    {
        foreach (WatchedProcessor watched in _watched)
        {
            if (Processor.IsInTurn(watched.Processor.State))
            {
                return false;
            }
        }

        foreach (WorkerGroup group in _groups)
        {
            if (!group.Pooled.IsEmpty)
            {
                return false;
            }
        }

        return true;
    }
}
