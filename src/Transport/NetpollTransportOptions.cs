using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Transport;

/// <summary>
/// Options of the netpoll transport: of its engine, which all endpoints share, and of all endpoints that have no options of their own
/// (<c>UseNetpoll</c>). They are read once, when the host starts, before Kestrel binds its
/// first endpoint, or when a <see cref="NetpollTransportFactory"/> is made by hand; later changes have no effect. They can be set in code
/// and in the configuration section <c>Kestrel:Netpoll</c>; code wins, whichever comes first. A value out of its range, or a key in that
/// section that is no option, stops the host at start, with a message that names it. Times are written as hours, minutes and seconds
/// there (<c>00:00:05</c>).
/// </summary>
/// <remarks>Not thread-safe: configure it where the host is built.</remarks>
public sealed class NetpollTransportOptions : NetpollEndpointOptions
{
    internal const int MinWorkerCount = 1;
    internal const int HighestWorkerCount = 1024;
    internal const int HighestMaxWorkerCount = 32767;
    internal const int DefaultMaxWorkerCount = 10_000;
    internal const int WorkersPerGroup = 8;
    internal const int MaxGroupCount = 64;

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

    /// <summary>Gets or sets where the application's code runs.</summary>
    /// <value>The default is <see cref="ApplicationScheduling.Workers"/>.</value>
    public ApplicationScheduling ApplicationScheduling { get; set; }

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
    internal NetpollTransportOptions Copy()
    {
        var copy = (NetpollTransportOptions)MemberwiseClone();
        copy.CountsAddressesApart = false;
        return copy;
    }
}
