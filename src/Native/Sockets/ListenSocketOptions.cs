namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// How a <see cref="ListenSocket"/> listens. What is set on the listener, Linux hands on to the sockets it accepts, which saves a call
/// for each. Null leaves the system's default.
/// </summary>
internal sealed record ListenSocketOptions
{
    /// <summary>Connections that the kernel may hold for us before they are accepted. The kernel caps it at somaxconn.</summary>
    internal required int Backlog { get; init; }

    /// <summary>
    /// The listener is somebody else's and has to look the same afterwards: what connections are to have is set on each of them. What only
    /// a listener has is set on it all the same, if it is given.
    /// </summary>
    internal bool LeavesListener { get; init; }

    /// <summary>Send small segments at once (TCP_NODELAY).</summary>
    internal bool NoDelay { get; init; } = true;

    /// <summary>Share the address with other sockets that say the same; the kernel spreads the connections (SO_REUSEPORT, IP
    /// only).</summary>
    internal bool ReusePort { get; init; }

    /// <summary>Other groups will listen on the same socket: see <see cref="ListenSocket.ShareWith"/>.</summary>
    internal bool Shared { get; init; }

    /// <summary>Idle seconds before keep-alive probes begin (SO_KEEPALIVE, TCP_KEEPIDLE).</summary>
    internal int? KeepAliveIdleSeconds { get; init; }

    /// <summary>Seconds between keep-alive probes (SO_KEEPALIVE, TCP_KEEPINTVL).</summary>
    internal int? KeepAliveIntervalSeconds { get; init; }

    /// <summary>Unanswered keep-alive probes after which the connection is dead (SO_KEEPALIVE, TCP_KEEPCNT).</summary>
    internal int? KeepAliveCount { get; init; }

    /// <summary>Milliseconds that sent data may stay unacknowledged (TCP_USER_TIMEOUT).</summary>
    internal int? UserTimeoutMilliseconds { get; init; }

    /// <summary>Seconds that the kernel keeps a connection back until data has come (TCP_DEFER_ACCEPT).</summary>
    internal int? DeferAcceptSeconds { get; init; }

    /// <summary>Connections that may be opened with data in the SYN and are not acknowledged yet (TCP_FASTOPEN).</summary>
    internal int? FastOpenQueue { get; init; }

    /// <summary>SO_RCVBUF, bytes; the kernel doubles it for its own needs and caps it at net.core.rmem_max.</summary>
    internal int? ReceiveBufferSize { get; init; }

    /// <summary>SO_SNDBUF, bytes; the kernel doubles it for its own needs and caps it at net.core.wmem_max.</summary>
    internal int? SendBufferSize { get; init; }

    /// <summary>The permissions of a Unix socket's file; null leaves them to the umask.</summary>
    internal UnixFileMode? UnixSocketMode { get; init; }

    /// <summary>Replace a Unix socket's file that nobody listens on any more.</summary>
    internal bool ReplaceStaleUnixSocket { get; init; }

    /// <summary>An address that the machine does not have may be bound (IP_FREEBIND).</summary>
    internal bool FreeBind { get; init; }

    /// <summary>The interface that connections come through (SO_BINDTODEVICE).</summary>
    internal string? BindToDevice { get; init; }

    /// <summary>The mark of packets that are sent (SO_MARK).</summary>
    internal uint? Mark { get; init; }

    /// <summary>The class of service of packets that are sent (IP_TOS, IPV6_TCLASS).</summary>
    internal int? TypeOfService { get; init; }

    /// <summary>Several paths for one connection, where the kernel can (IPPROTO_MPTCP).</summary>
    internal bool MultipathTcp { get; init; }
}
