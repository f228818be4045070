namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>One side of a comparison: a name, and how the server is started for it.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="Transport">What the server must say it runs on.</param>
/// <param name="Arguments">What it is started with.</param>
/// <param name="Attached">Where it runs already; null if it is started.</param>
internal sealed record Leg(string Name, string Transport, IReadOnlyList<string> Arguments, AttachedServer? Attached = null)
{
    internal const string Sockets = "sockets";
    internal const string SocketsInline = "sockets-inline";
    internal const string Netpoll = "netpoll";
    internal const string NetpollWorkersOnly = "netpoll-workersonly";
    internal const string NetpollThreadPool = "netpoll-threadpool";
    internal const string CEpoll = "c-epoll";

    // What the server's option of that name leaves out.
    private const string Without = "netpoll-without-";

    private static readonly string[] Parts =
        ["IdleProcessors", "LoadMeter", "BusyPolling", "MonitorPace", "GatherMeter", "Relays", "Placement"];

    internal static readonly IReadOnlyList<string> Names =
        [Sockets, Netpoll, NetpollWorkersOnly, NetpollThreadPool, SocketsInline, .. Parts.Select(static part => Without + part)];

    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="netpollArguments">The options of netpoll; a leg with a scheduling of its own takes that.</param>
    /// <param name="scheduling">The scheduling of the others; null: the server's default.</param>
    internal static Leg Start(string name, IReadOnlyList<string> netpollArguments, string? scheduling)
    {
        string transport = TransportOf(name);
        string? own = name switch
        {
            NetpollWorkersOnly => "WorkersOnly",
            NetpollThreadPool => "ThreadPool",
            _ => scheduling,
        };
        if (name.StartsWith(Without, StringComparison.Ordinal))
        {
            netpollArguments = [.. netpollArguments, "--without", name[Without.Length..]];
        }

        string[] ofNetpoll = [.. own is null ? Array.Empty<string>() : ["--scheduling", own], .. netpollArguments];
        return new Leg(name, transport, ["--transport", transport, .. transport == Netpoll ? ofNetpoll : []]);
    }

    internal static Leg Attach(AttachedServer server) => new(server.Leg, TransportOf(server.Leg), [], server);

    private static string TransportOf(string name) => name.StartsWith(Netpoll, StringComparison.Ordinal) ? Netpoll : name;
}
