namespace KestrelNetpoll.Transport;

/// <summary>Where the application's code runs.</summary>
public enum ApplicationScheduling
{
    /// <summary>
    /// On the transport's workers, on the thread that has received the request, until the application awaits something that is not the
    /// connection. The cheapest; a worker that a handler blocks is replaced by another meanwhile.
    /// </summary>
    Workers,

    /// <summary>
    /// On the thread pool, as with Kestrel's Sockets transport, and with it the receiving before and the sending after. The workers wait
    /// for readiness, accept connections, and attend to peers that hang up. Costs a hop for each request, and handlers that
    /// block hold threads of the pool.
    /// </summary>
    ThreadPool,

    /// <summary>
    /// On the transport's workers, also after the application has awaited something else, and for HTTP/2 streams: a request that arrives
    /// elsewhere is moved to a worker, and the application's awaits come back to one, since it runs under a
    /// <see cref="SynchronizationContext"/>. That has no one-at-a-time rule. What leaves it, as <c>Task.Run</c> and
    /// <c>ConfigureAwait(false)</c> do, runs on the thread pool. For applications that block after an await, which could otherwise starve
    /// the thread pool.
    /// </summary>
    WorkersOnly,
}
