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
    internal const string CEpoll = "c-epoll";

    internal static readonly IReadOnlyList<string> Names = [Sockets, Netpoll, SocketsInline];

    internal static Leg Start(string name, IReadOnlyList<string> netpollArguments) =>
        new(name, name, ["--transport", name, .. name == Netpoll ? netpollArguments : []]);

    internal static Leg Attach(AttachedServer server) => new(server.Leg, server.Leg, [], server);
}
