namespace KestrelNetpoll.Transport;

/// <summary>The kernel interfaces by which the transport can learn that a connection is ready.</summary>
public enum NetpollBackend
{
    /// <summary>
    /// The best that there is: <see cref="Epoll"/>. Where that cannot run, Kestrel stays on its Sockets transport, and a log line says why.
    /// </summary>
    Auto,

    /// <summary>epoll, of Linux. Where it cannot run, the host does not start.</summary>
    Epoll,

    /// <summary>
    /// <c>poll(2)</c>, for sandboxes that refuse epoll, and to find out whether epoll is to blame. Each wait costs time for each
    /// connection: for up to about a thousand of them. Where it cannot run, the host does not start.
    /// </summary>
    Poll,
}
