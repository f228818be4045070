namespace KestrelNetpoll.Native.Scheduling;

/// <summary>Why a processor was taken from a turn. The values are places in an array of counters.</summary>
internal enum HandOffReason
{
    /// <summary>It was in a wait that the runtime knows of: a lock, an event, a task, a sleep.</summary>
    ManagedWait,

    /// <summary>It slept in the kernel, in a call that the runtime knows nothing of.</summary>
    KernelWait,

    /// <summary>It computed.</summary>
    Computing,

    /// <summary>It was in one short wait after the other.</summary>
    ShortWaits,

    /// <summary>It had lasted for long, and nothing better is known.</summary>
    LongTurn,
}
