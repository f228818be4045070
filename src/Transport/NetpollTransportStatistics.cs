namespace KestrelNetpoll.Transport;

/// <summary>
/// The counters of a transport since it bound its first endpoint. A snapshot: the numbers are read one after the other while
/// the transport runs, so that they need not add up exactly.
/// </summary>
/// <param name="AcceptedConnections">Connections accepted.</param>
/// <param name="ActiveConnections">Connections accepted and not yet disposed, now.</param>
/// <param name="BytesReceived">Bytes received.</param>
/// <param name="BytesSent">Bytes that the kernel took for sending.</param>
/// <param name="Polls">Waits for events that returned.</param>
/// <param name="Events">Readiness events fetched.</param>
/// <param name="StaleEvents">Events dropped because their descriptor had been closed in the meantime.</param>
/// <param name="Wakeups">Signals sent to wake a sleeping worker.</param>
/// <param name="Turns">Continuations that the workers ran.</param>
/// <param name="FailedTurns">Continuations that threw; each ended its connection, unless it was none of a connection.</param>
/// <param name="StolenTurns">Continuations that an idle worker took over from a busy one.</param>
/// <param name="HandOffs">How often a worker that the application blocked, or kept for long, was replaced by another.</param>
/// <param name="Workers">Worker threads, blocked ones and spares included, now.</param>
/// <param name="SpareWorkers">Worker threads that wait to replace a blocked one, now.</param>
/// <param name="WorkerLimitReached">How many blocked workers could not be replaced, for a while at least.</param>
public readonly partial record struct NetpollTransportStatistics(
    long AcceptedConnections,
    int ActiveConnections,
    long BytesReceived,
    long BytesSent,
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
    long WorkerLimitReached);
