namespace KestrelNetpoll.Transport;

/// <summary>
/// A feature of every connection that the netpoll transport serves; a request finds it in <c>HttpContext.Features</c>.
/// Its absence means that another transport serves the connection. All members are safe to read from any thread at any time.
/// </summary>
public interface INetpollTransportFeature
{
    /// <summary>Gets the name of the transport.</summary>
    /// <value>Always <c>netpoll</c>.</value>
    string Transport { get; }

    /// <summary>Gets the name of the kernel interface that reports readiness.</summary>
    /// <value><c>epoll</c> or <c>poll</c>: see <see cref="NetpollTransportOptions.Backend"/>.</value>
    string Backend { get; }

    /// <summary>Gets how many worker threads the transport was configured with.</summary>
    int WorkerCount { get; }

    /// <summary>
    /// Gets the counters of the whole transport, not of one connection, as they are now. Takes time in proportion to the number
    /// of open connections: made for diagnostics, not for every request.
    /// </summary>
    NetpollTransportStatistics Statistics { get; }
}
