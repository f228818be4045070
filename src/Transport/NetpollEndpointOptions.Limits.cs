namespace KestrelNetpoll.Transport;

/// <content>What clients may do to a connection. All are off by default, and then cost nothing.</content>
/// <remarks>
/// All connections are looked at from time to time: eight times within the shortest limit, every 20 milliseconds at most, and every
/// second at least. The shortest is that of any endpoint which has been bound since the host has started. So a limit takes effect up to
/// three such pauses late, and never early.
/// </remarks>
public abstract partial class NetpollEndpointOptions
{
    internal static readonly TimeSpan MinLimit = TimeSpan.FromMilliseconds(1);
    internal static readonly TimeSpan MaxLimit = TimeSpan.FromMilliseconds(int.MaxValue);

    /// <summary>
    /// Gets or sets how long a client may take from the accept to its first byte; with TLS, to the first byte of its handshake. Then
    /// the connection is closed with FIN. Not for protocols in which the server speaks first.
    /// </summary>
    /// <value>1 millisecond to 2,147,483,647 milliseconds; <see langword="null"/>, the default, is no limit.</value>
    public TimeSpan? FirstByteTimeout { get; set; }

    /// <summary>
    /// Gets or sets how long a read may wait without a byte from the client. Then the connection is closed, with FIN, or with RST if
    /// output is queued. Each byte begins the time anew; the time in which nobody reads does not count.
    /// </summary>
    /// <remarks>
    /// Kestrel's read waits also between two requests, so that this limits the keep-alive time as well; and always with HTTP/2 and
    /// upgraded connections such as WebSockets, also while a long response is sent: those need pings within that time.
    /// </remarks>
    /// <value>1 millisecond to 2,147,483,647 milliseconds; <see langword="null"/>, the default, is no limit.</value>
    public TimeSpan? ReadIdleTimeout { get; set; }

    /// <summary>
    /// Gets or sets how long a client may take nothing of what is there for it: of what is queued, or of what the kernel has and the
    /// client has not acknowledged. Then the connection is closed with RST. Each byte that it takes begins the time anew.
    /// </summary>
    /// <value>1 millisecond to 2,147,483,647 milliseconds; <see langword="null"/>, the default, is no limit.</value>
    public TimeSpan? WriteStallTimeout { get; set; }

    /// <summary>
    /// Gets or sets how old a connection may become. Then Kestrel is asked to close it, as when the server stops: HTTP/1.1 after the
    /// current request, HTTP/2 after the current streams, and other protocols when they heed
    /// <c>IConnectionLifetimeNotificationFeature.ConnectionClosedRequested</c>. Each connection has its own age, up to a tenth
    /// more than this, so that those which came together do not leave together.
    /// </summary>
    /// <value>1 millisecond to 2,147,483,647 milliseconds; <see langword="null"/>, the default, is no limit.</value>
    public TimeSpan? MaxConnectionAge { get; set; }
}
