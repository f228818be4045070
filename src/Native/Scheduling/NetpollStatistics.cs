namespace KestrelNetpoll.Native.Scheduling;

/// <summary>A snapshot of the engine's counters since the runtime started, summed over its groups and workers.</summary>
/// <param name="Polls">Waits for events that returned.</param>
/// <param name="Events">Events fetched from the kernel, the stale ones included.</param>
/// <param name="StaleEvents">Events dropped because their descriptor had been closed in the meantime.</param>
/// <param name="Wakeups">Wake-up signals sent to sleeping workers.</param>
/// <param name="Turns">Continuations run.</param>
/// <param name="FailedTurns">Continuations that threw.</param>
/// <param name="StolenTurns">Turns that one processor's worker took over from another's queue.</param>
/// <param name="HandOffs">How often a processor was taken from a worker whose turn had blocked, or took too long, and given to
/// another.</param>
/// <param name="Workers">Worker threads now: those that hold a processor, those that are blocked without one, and the spares.</param>
/// <param name="SpareWorkers">Worker threads that wait for something to do, now.</param>
/// <param name="WorkerLimitReached">How many blocked turns kept their processor, for a while at least, because no worker was to be
/// had.</param>
/// <param name="DeadlinesFired">Timer entries that came due, early re-arms included.</param>
/// <param name="OpenDescriptors">Descriptors registered now.</param>
internal readonly record struct NetpollStatistics(
    long Polls,
    long Events,
    long StaleEvents,
    long Wakeups,
    long Turns,
    long FailedTurns,
    long StolenTurns,
    long HandOffs,
    int Workers,
    int SpareWorkers,
    long WorkerLimitReached,
    long DeadlinesFired,
    int OpenDescriptors);
