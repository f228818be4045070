using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport;

/// <summary>
/// What an endpoint of the netpoll transport can have for itself: how it listens, what its sockets are set to, and what its clients may do.
/// <see cref="NetpollTransportOptions"/> has the same for all endpoints; <c>UseNetpoll</c> on a <c>ListenOptions</c>, and the configuration
/// section <c>Kestrel:Endpoints:NAME:Netpoll</c>, change it for one. What belongs to the engine, such as the number of workers, no endpoint
/// has for itself.
/// </summary>
/// <remarks>Not thread-safe: set it only where it is handed out.</remarks>
public abstract partial class NetpollEndpointOptions
{
    internal const int MaxKeepAliveSeconds = 32767;
    internal const int MaxKeepAliveRetryCount = 127;
    internal const long DefaultMaxReadBufferSize = 1024 * 1024;
    internal const long DefaultMaxWriteBufferSize = 64 * 1024;

    private protected NetpollEndpointOptions()
    {
    }

    /// <summary>
    /// Gets or sets how many established connections the kernel keeps for each endpoint until they are accepted.
    /// The kernel lowers it to <c>net.core.somaxconn</c>.
    /// </summary>
    /// <value>
    /// Connections, 1 or more. The default is the system's <c>net.core.somaxconn</c>, or 512 where that cannot be read.
    /// </value>
    public int Backlog { get; set; } = PlatformSupport.ReadListenBacklog();

    /// <summary>
    /// Gets or sets whether small writes are sent at once (<c>TCP_NODELAY</c>) instead of being held back while earlier ones
    /// are unacknowledged (Nagle's algorithm).
    /// </summary>
    /// <value>The default is <see langword="true"/>.</value>
    public bool NoDelay { get; set; } = true;

    /// <summary>
    /// Gets or sets how much received data that the application has not examined a connection holds. Receiving is done when the application
    /// reads, or, some milliseconds after the bytes have come, if it does not read, or the peer has ended the connection; from this size on
    /// everything else waits in the kernel. What was examined and not consumed does not count: an application that examines everything has
    /// asked for more. Memory is taken in the pool's blocks (4 KiB), and the bound may be exceeded by less than one.
    /// </summary>
    /// <value>Bytes, up to 2,147,483,647; <see langword="null"/> or 0 means no limit. The default is 1 MiB.</value>
    public long? MaxReadBufferSize { get; set; } = DefaultMaxReadBufferSize;

    /// <summary>
    /// Gets or sets how much flushed data a connection holds that the kernel has not taken yet. From this size on a flush
    /// is incomplete; it completes below half of it.
    /// </summary>
    /// <value>Bytes, up to 2,147,483,647; <see langword="null"/> or 0 means no limit. The default is 64 KiB.</value>
    public long? MaxWriteBufferSize { get; set; } = DefaultMaxWriteBufferSize;

    /// <summary>
    /// Gets or sets whether a connection that waits for data holds no buffer. If it may hold one, receiving costs a little less, and an
    /// idle connection costs a block of the memory pool (4 KiB) more.
    /// </summary>
    /// <value>The default is <see langword="true"/>: no buffer.</value>
    public bool WaitForDataBeforeAllocatingBuffer { get; set; } = true;

    /// <summary>Gets or sets how the worker groups share an endpoint's connections. Without effect while there is one group.</summary>
    /// <value>The default is <see cref="AcceptStrategy.Shared"/>.</value>
    public AcceptStrategy AcceptStrategy { get; set; }

    /// <summary>
    /// Gets or sets whether other sockets may listen on the same address (<c>SO_REUSEPORT</c>), if they say so, too, and belong to the same
    /// user: those of other processes, such as a second instance of the server. The kernel spreads the connections by their addresses. For
    /// IP endpoints that the transport binds itself.
    /// </summary>
    /// <remarks>
    /// An instance that is started by mistake is not refused then. When one of the sockets is closed, the connections that the kernel
    /// has given to it, and that have not been accepted, are lost.
    /// </remarks>
    /// <value>The default is <see langword="false"/>: whoever binds the address second is refused.</value>
    public bool ReusePort { get; set; }

    /// <summary>
    /// Gets or sets after which silence the kernel begins to probe whether a peer is still there (<c>TCP_KEEPIDLE</c>). Setting any of the
    /// three keep-alive options turns the probes on.
    /// </summary>
    /// <value>1 second to 32,767 seconds, rounded up to seconds; <see langword="null"/>, the default, is the system's choice.</value>
    public TimeSpan? TcpKeepAliveTime { get; set; }

    /// <summary>Gets or sets the pause between two probes (<c>TCP_KEEPINTVL</c>).</summary>
    /// <value>1 second to 32,767 seconds, rounded up to seconds; <see langword="null"/>, the default, is the system's choice.</value>
    public TimeSpan? TcpKeepAliveInterval { get; set; }

    /// <summary>Gets or sets how many probes go unanswered before the connection counts as lost (<c>TCP_KEEPCNT</c>).</summary>
    /// <value>1 to 127; <see langword="null"/>, the default, is the system's choice.</value>
    public int? TcpKeepAliveRetryCount { get; set; }

    /// <summary>
    /// Gets or sets how long sent data may stay unacknowledged before the kernel gives the connection up (<c>TCP_USER_TIMEOUT</c>).
    /// </summary>
    /// <value>1 millisecond to 2,147,483,647 milliseconds; <see langword="null"/>, the default, is the system's choice.</value>
    public TimeSpan? UserTimeout { get; set; }

    /// <summary>
    /// Gets or sets how long the kernel keeps a connection to itself until its first data has come (<c>TCP_DEFER_ACCEPT</c>). Not for
    /// protocols in which the server speaks first.
    /// </summary>
    /// <value>1 second to 32,767 seconds, rounded up to seconds; <see langword="null"/>, the default, is not at all.</value>
    public TimeSpan? DeferAccept { get; set; }

    /// <summary>
    /// Gets or sets how many connections that were opened with data in their first packet (<c>TCP_FASTOPEN</c>) may be pending. The system
    /// must allow it for servers as well (<c>net.ipv4.tcp_fastopen</c>).
    /// </summary>
    /// <value>1 or more; <see langword="null"/>, the default, turns it off.</value>
    public int? FastOpen { get; set; }

    /// <summary>
    /// Gets or sets the size of the kernel's receive buffer of each connection (<c>SO_RCVBUF</c>). Setting it turns the kernel's own tuning
    /// off. The kernel lowers it to <c>net.core.rmem_max</c>, raises it if it is very small, and reserves twice as much, for its own needs;
    /// that doubled size is what reading the option shows. The window that a TCP peer is offered follows from it.
    /// </summary>
    /// <value>Bytes, 1 or more; <see langword="null"/>, the default, leaves it to the kernel.</value>
    public int? ReceiveBufferSize { get; set; }

    /// <summary>
    /// Gets or sets the size of the kernel's send buffer of each connection (<c>SO_SNDBUF</c>). Setting it turns the kernel's own tuning
    /// off. The kernel lowers it to <c>net.core.wmem_max</c>, raises it if it is very small, and reserves twice as much, for its own needs;
    /// that doubled size is what reading the option shows.
    /// </summary>
    /// <value>Bytes, 1 or more; <see langword="null"/>, the default, leaves it to the kernel.</value>
    public int? SendBufferSize { get; set; }

    /// <summary>
    /// Gets or sets the permissions of the file of a Unix socket that is bound to a path. Who may write may connect. In the configuration,
    /// names (<c>UserRead, UserWrite, GroupRead, GroupWrite</c>) or an octal number (<c>660</c>).
    /// </summary>
    /// <value>Permission bits, up to octal 777; <see langword="null"/>, the default, leaves them to the process's umask.</value>
    public UnixFileMode? UnixSocketMode { get; set; }

    /// <summary>
    /// Gets or sets whether a Unix socket's file that is in the way is replaced if nobody listens there: what a process leaves behind that
    /// was killed. A socket that somebody listens on, and any file that is not a socket, is never touched. One that is bound and does not
    /// listen yet cannot be told from a stale one, and is replaced: two processes that start with the same path at once may each think to
    /// have it.
    /// </summary>
    /// <value>The default is <see langword="false"/>: the address is in use.</value>
    public bool ReplaceStaleUnixSocket { get; set; }
}
