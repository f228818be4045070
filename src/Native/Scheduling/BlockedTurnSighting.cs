using KestrelNetpoll.Native.Interop;

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

    /// <summary>Has it not ended yet?</summary>
    internal bool Lasts => (processor.Holder == worker && processor.State == state) || worker.IsStillIn(processor, state);

    /// <summary>Where the thread is now, if the turn has not ended by then. Costs some system calls and allocations.</summary>
    internal ThreadWhereabouts Locate()
    {
        bool waits = worker.IsInManagedWait;
        ThreadWhereabouts found = waits
            ? new ThreadWhereabouts(ThreadOccupation.ManagedWait, KernelCall: null)
            : ThreadWhereabouts.Ask(new KernelFiles(worker.Group.SystemCalls), ThreadId);
        if (Lasts)
        {
            return found;
        }

        // It is doing something else by now.
        return new ThreadWhereabouts(InManagedWait ? ThreadOccupation.ManagedWait : ThreadOccupation.Unknown, KernelCall: null);
    }
}
