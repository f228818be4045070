namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What the monitor knows of a turn that has lasted for long. Any thread; it may have ended since.</summary>
internal sealed class BlockedTurnSighting(
    Worker worker, Processor processor, long state, Turn? turn, long nanoseconds, bool inManagedWait)
{
    /// <summary>What runs.</summary>
    internal Turn? Turn { get; } = turn;

    /// <summary>For how long it had lasted, since the monitor first saw it, which is up to one of its looks after the beginning.</summary>
    internal long Nanoseconds { get; } = nanoseconds;

    /// <summary>Was it in a wait that the runtime knows of?</summary>
    internal bool InManagedWait { get; } = inManagedWait;

    internal Thread Thread => worker.Thread;

    /// <summary>The kernel's id of the thread.</summary>
    internal int ThreadId => worker.ThreadId;

    /// <summary>Has it not ended yet? Not for the monitor, who may be waited for.</summary>
    internal bool Lasts
    {
        get
        {
            if (IsInside)
            {
                return true;
            }

            // While its processor is handed on it has not got it any more, and nobody else has got it yet.
            Thread.Yield();
            return IsInside;
        }
    }

    private bool IsInside => (processor.Holder == worker && processor.State == state) || worker.IsStillIn(processor, state);

    /// <summary>Where the thread is now, if the turn has not ended by then. Costs some system calls and allocations.</summary>
    /// <param name="locator">Asks; null: one that is made for this.</param>
    internal ThreadWhereabouts Locate(ThreadLocator? locator = null)
    {
        bool waits = worker.IsInManagedWait;
        ThreadWhereabouts found = waits
            ? new ThreadWhereabouts(ThreadOccupation.ManagedWait, KernelCall: null)
            : (locator ?? new ThreadLocator()).Find(worker.Group.SystemCalls, ThreadId);
        if (Lasts)
        {
            return found;
        }

        // It is doing something else by now.
        return new ThreadWhereabouts(InManagedWait ? ThreadOccupation.ManagedWait : ThreadOccupation.Unknown, KernelCall: null);
    }
}
