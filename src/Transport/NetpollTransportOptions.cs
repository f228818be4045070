using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport;

/// <summary>
/// Options of the netpoll transport. They are read once, when the host starts, before Kestrel binds its
/// first endpoint, or when a <see cref="NetpollTransportFactory"/> is made by hand; later changes have no effect. They can be set in code
/// and in the configuration section <c>Kestrel:Netpoll</c>; code wins, whichever comes first. A value out of its range, or a key in that
/// section that is no option, stops the host at start, with a message that names it. Times are written as hours, minutes and seconds
/// there (<c>00:00:05</c>).
/// </summary>
/// <remarks>Not thread-safe: configure it where the host is built.</remarks>
public sealed partial class NetpollTransportOptions
{
    internal const int MinWorkerCount = 1;
    internal const int HighestWorkerCount = 1024;
    internal const int HighestMaxWorkerCount = 32767;
    internal const int DefaultMaxWorkerCount = 10_000;
    internal const int WorkersPerGroup = 8;
    internal const int MaxKeepAliveSeconds = 32767;
    internal const int MaxKeepAliveRetryCount = 127;
    internal const int MaxGroupCount = 64;
    internal const long DefaultMaxReadBufferSize = 1024 * 1024;
    internal const long DefaultMaxWriteBufferSize = 64 * 1024;

    internal static readonly TimeSpan DefaultBlockedTurnThreshold = TimeSpan.FromMilliseconds(100);
    internal static readonly TimeSpan LeastBlockedTurnThreshold = TimeSpan.FromMilliseconds(1);
    internal static readonly TimeSpan MostBlockedTurnThreshold = TimeSpan.FromDays(1);

    /// <summary>
    /// Gets or sets how many threads run the connections of this process at the same time: they wait for readiness, receive, run the
    /// application's code and send. A thread that the application blocks does not count: another takes its place, up to
    /// <see cref="MaxWorkerCount"/> of them all together.
    /// </summary>
    /// <value>Threads, 1 to 1024. The default is <see cref="Environment.ProcessorCount"/>.</value>
    public int WorkerCount { get; set; } = Math.Clamp(Environment.ProcessorCount, MinWorkerCount, HighestWorkerCount);

    /// <summary>
    /// Gets or sets how many worker threads there may be, blocked ones and spares included. There are only as many as are needed: a spare
    /// that has nothing to do for 10 seconds ends. When the limit is reached, requests wait until a blocked handler returns, and a warning
    /// says so, at most every 10 seconds.
    /// </summary>
    /// <remarks>
    /// This is the upper bound. There are fewer, but never fewer than <see cref="WorkerCount"/>, where the process's limits of threads
    /// (control groups, <c>RLIMIT_NPROC</c>, the kernel's own) or of memory are near: a quarter of each, within bounds, is left to the rest
    /// of the process. The limits are looked at while the server runs, before a thread starts; the warning names the one that has been
    /// reached.
    /// </remarks>
    /// <value>Threads, from <see cref="WorkerCount"/> to 32767. The default is 10,000.</value>
    public int MaxWorkerCount { get; set; } = DefaultMaxWorkerCount;

    /// <summary>
    /// Gets or sets how many groups the workers are divided into. Each has a poller of its own and serves its own connections; a new
    /// connection goes to the group that has the fewest. One poller does not scale to very many processors.
    /// </summary>
    /// <value>
    /// Groups, 1 to 64, and at most <see cref="WorkerCount"/>. <see langword="null"/>, the default, means one for every 8 workers, and at
    /// least one.
    /// </value>
    public int? WorkerGroupCount { get; set; }

    /// <summary>
    /// Gets or sets by which kernel interface the transport learns that a connection is ready. One that is named here and cannot run stops
    /// the host at start, with a message that says why; only <see cref="NetpollBackend.Auto"/> lets Kestrel stay on another transport.
    /// </summary>
    /// <value>The default is <see cref="NetpollBackend.Auto"/>.</value>
    public NetpollBackend Backend { get; set; }

    /// <summary>
    /// Gets or sets how long a turn, in which a worker thread runs the application's code, may be blocked before a warning says so, at most
    /// every 10 seconds for each kind, and <see cref="INetpollDiagnostics.BlockedTurn"/> is raised. For a turn that computes the warning
    /// comes after ten times as long; the event does not wait. It changes nothing about how fast a blocked thread is replaced, which takes
    /// about a millisecond.
    /// </summary>
    /// <value>
    /// 1 millisecond to 1 day; <see langword="null"/> or <see cref="TimeSpan.Zero"/> turns it off. The default is 100 milliseconds.
    /// </value>
    public TimeSpan? BlockedTurnThreshold { get; set; } = DefaultBlockedTurnThreshold;

    /// <summary>
    /// Gets or sets whether what is said of a blocked turn names the request: method, path and route. It takes a middleware in front of the
    /// application that notes each request in the execution context, and each thread that a request comes to, which costs somewhat more
    /// than <c>IHttpContextAccessor</c>. Paths, which may hold what is private, then come into the log, escaped. Without effect while <see
    /// cref="BlockedTurnThreshold"/> is off, and where the application runs on the thread pool (<see cref="ApplicationScheduling"/>).
    /// </summary>
    /// <value>The default is <see langword="false"/>: only the connection is named.</value>
    public bool NameBlockedRequests { get; set; }

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

    /// <summary>Gets or sets where the application's code runs.</summary>
    /// <value>The default is <see cref="ApplicationScheduling.Workers"/>.</value>
    public ApplicationScheduling ApplicationScheduling { get; set; }

    /// <summary>Gets or sets how the worker groups share an endpoint's connections. Without effect while there is one group.</summary>
    /// <value>The default is <see cref="AcceptStrategy.Shared"/>.</value>
    public AcceptStrategy AcceptStrategy { get; set; }

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

    /// <summary>
    /// Gets or sets what makes the socket for an endpoint: bound, not listening. The transport listens on it and disposes of it when the
    /// endpoint is unbound, or when that fails. For socket options that have none here; such a function usually calls
    /// <see cref="CreateDefaultBoundListenSocket"/> and sets the option. Called once for each endpoint, handles included. A socket that is
    /// not bound, and null, are refused.
    /// </summary>
    /// <remarks>
    /// Every option here that is set on a listening socket is set on this one as well, afterwards, and wins: <see cref="NoDelay"/>
    /// always, and those that are not null of the keep-alive options, <see cref="UserTimeout"/>, <see cref="DeferAccept"/>,
    /// <see cref="FastOpen"/>, <see cref="ReceiveBufferSize"/>, <see cref="SendBufferSize"/>, <see cref="Mark"/> and
    /// <see cref="TypeOfService"/>. Only for a <see cref="FileHandleEndPoint"/>, which others may be using, they are set on each
    /// connection instead, where that is possible. It is listened on with <see cref="Backlog"/>, and becomes non-blocking. What belongs
    /// to binding is up to the function: <see cref="UnixSocketMode"/>, <see cref="ReplaceStaleUnixSocket"/>, <see cref="FreeBind"/>,
    /// <see cref="BindToDevice"/> and <see cref="MultipathTcp"/> have no effect, and <see cref="AcceptStrategy.ReusePort"/> neither: all
    /// worker groups share the socket.
    /// </remarks>
    /// <value>The default is <see cref="CreateDefaultBoundListenSocket"/>, in whose place the transport makes its own system calls.</value>
    public Func<EndPoint, Socket> CreateBoundListenSocket { get; set; } = CreateDefaultBoundListenSocket;

    /// <summary>What <see cref="Backend"/> comes to.</summary>
    internal PollerBackend EffectiveBackend => Backend == NetpollBackend.Poll ? PollerBackend.Poll : PollerBackend.Epoll;

    /// <exception cref="PlatformNotSupportedException">
    /// The transport cannot run, and <see cref="Backend"/> says that it must not be left to another.
    /// </exception>
    internal void ThrowIfDemanded(string obstacle)
    {
        if (Backend != NetpollBackend.Auto)
        {
            throw new PlatformNotSupportedException(
                $"{nameof(NetpollTransportOptions)}.{nameof(Backend)} is {Backend}, and the netpoll transport cannot run here with it: "
                + obstacle);
        }
    }

    /// <summary><see cref="WorkerGroupCount"/>, or its default.</summary>
    internal int EffectiveWorkerGroupCount =>
        WorkerGroupCount ?? Math.Clamp((WorkerCount + WorkersPerGroup - 1) / WorkersPerGroup, 1, MaxGroupCount);

    /// <summary>The values as they are now. What they refer to cannot be changed, so no more than that has to be copied.</summary>
    internal NetpollTransportOptions Copy() => (NetpollTransportOptions)MemberwiseClone();

    /// <summary>Makes a socket for an endpoint as the transport does with default options.</summary>
    /// <param name="endpoint">An IP, Unix domain or file handle endpoint.</param>
    /// <returns>A socket that is bound and not listening; of a file handle, one that leaves the handle open when it is disposed.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="endpoint"/> is null.</exception>
    /// <exception cref="SocketException">The socket cannot be made or bound.</exception>
    public static Socket CreateDefaultBoundListenSocket(EndPoint endpoint)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        switch (endpoint)
        {
            case FileHandleEndPoint handle:
                return new Socket(new SafeSocketHandle((IntPtr)handle.FileHandle, ownsHandle: false));
            case UnixDomainSocketEndPoint:
                return Bind(new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified), endpoint);
            default:
                var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                if (endpoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any))
                {
                    socket.DualMode = true;
                }

                return Bind(socket, endpoint);
        }
    }

    private static Socket Bind(Socket socket, EndPoint endpoint)
    {
        try
        {
            socket.Bind(endpoint);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
