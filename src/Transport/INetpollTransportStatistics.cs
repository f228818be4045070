namespace KestrelNetpoll.Transport;

/// <summary>
/// The counters of the netpoll transport, as a service: <c>UseNetpollTransport</c> registers one, which can be injected wherever services
/// can, into handlers of minimal APIs, controllers, pages and components. Thread-safe.
/// </summary>
public interface INetpollTransportStatistics
{
    /// <summary>
    /// Reads the counters of the whole transport. Takes time in proportion to the number of open connections: made for diagnostics, not for
    /// every request.
    /// </summary>
    /// <returns>A snapshot; all zero before the first endpoint is bound, and where another transport serves all endpoints.</returns>
    NetpollTransportStatistics GetStatistics();

    /// <summary>
    /// Asks the kernel how many connections wait to be accepted, at each TCP socket that this transport listens on: with
    /// <see cref="AcceptStrategy.ReusePort"/> there is one for each worker group. A queue that is full loses connections, or makes them
    /// slow.
    /// </summary>
    /// <returns>A snapshot; empty where there is no such socket. Unix sockets have no such numbers.</returns>
    IReadOnlyList<NetpollAcceptQueueDepth> GetAcceptQueues();
}
