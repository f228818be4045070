using System.Globalization;
using System.Net.Sockets;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Transport.Connections;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>
/// Finds the connections that a query asks for. All of them are looked at, but only of those that are listed, or that a filter or an order
/// asks about, is anything made that needs memory.
/// </summary>
internal static class ConnectionTable
{
    private const double NanosecondsPerSecond = 1e9;

    /// <param name="views">All connections.</param>
    /// <param name="query">What is wanted.</param>
    /// <param name="now">On the monotonic clock.</param>
    /// <param name="own">The id of the connection that asks.</param>
    /// <param name="matching">How many the filter lets through.</param>
    internal static ConnectionReport[] Select(
        IEnumerable<ConnectionView> views, ConnectionQuery query, long now, string? own, out int matching)
    {
        List<ConnectionView> found = [.. views.Where(view => query.Filter.Length == 0 || Matches(view, query.Filter))];
        matching = found.Count;

        // Sorts no more than it takes.
        return [.. Sort(found, query).Take(query.Limit).Select(view => Describe(view, now, own))];
    }

    internal static string NameOf(ConnectionPhase phase) => phase switch
    {
        ConnectionPhase.New => "new",
        ConnectionPhase.Open => "open",
        _ => "ending",
    };

    internal static string NameOf(ConnectionWait wait) => wait switch
    {
        ConnectionWait.Input => "input",
        ConnectionWait.Output => "output",
        ConnectionWait.Worker => "worker",
        _ => "application",
    };

    private static bool Matches(in ConnectionView view, string filter) =>
        Contains(NameOf(view.Phase), filter)
        || Contains(NameOf(view.WaitsFor), filter)
        || Contains(view.Connection.ConnectionId, filter)
        || Contains(EndPointOf(view), filter)
        || Contains(PeerOf(view), filter);

    private static bool Contains(string text, string filter) => text.Contains(filter, StringComparison.OrdinalIgnoreCase);

    private static IOrderedEnumerable<ConnectionView> Sort(List<ConnectionView> views, ConnectionQuery query) => query.Sort switch
    {
        "id" => By(views, query, static view => view.Connection.ConnectionId, StringComparer.Ordinal),
        "endPoint" => By(views, query, static view => EndPointOf(view), StringComparer.Ordinal),
        "peer" => By(views, query, static view => PeerOf(view), StringComparer.Ordinal),
        "state" => By(views, query, static view => (int)view.Phase),
        "waitsFor" => By(views, query, static view => NameOf(view.WaitsFor), StringComparer.Ordinal),
        "received" => By(views, query, static view => view.Received),
        "sent" => By(views, query, static view => view.Sent),
        "queued" => By(views, query, static view => view.Queued),
        "deadline" => By(views, query, static view => Math.Min(Rank(view.ReadDeadline), Rank(view.WriteDeadline))),

        // The oldest was accepted first.
        _ => By(views, query, static view => -view.Connection.AcceptedAt),
    };

    private static IOrderedEnumerable<ConnectionView> By<T>(
        List<ConnectionView> views, ConnectionQuery query, Func<ConnectionView, T> key, IComparer<T>? comparer = null) =>
        query.IsDescending ? views.OrderByDescending(key, comparer) : views.OrderBy(key, comparer);

    private static long Rank(long deadline) => deadline == PollDeadline.None ? long.MaxValue : deadline;

    private static ConnectionReport Describe(in ConnectionView view, long now, string? own) => new()
    {
        Id = view.Connection.ConnectionId,
        EndPoint = EndPointOf(view),
        Peer = PeerOf(view) is { Length: > 0 } peer ? peer : DescribeUnixPeer(view),
        State = NameOf(view.Phase),
        WaitsFor = NameOf(view.WaitsFor),
        AgeSeconds = Math.Max(0, now - view.Connection.AcceptedAt) / NanosecondsPerSecond,
        Received = view.Received,
        Sent = view.Sent,
        Queued = view.Queued,
        ReadDeadlineSeconds = TimeUntil(view.ReadDeadline, now),
        WriteDeadlineSeconds = TimeUntil(view.WriteDeadline, now),
        IsThis = view.Connection.ConnectionId == own,
    };

    private static double? TimeUntil(long deadline, long now) =>
        deadline == PollDeadline.None ? null : Math.Max(0, deadline - now) / NanosecondsPerSecond;

    private static string EndPointOf(in ConnectionView view) => view.Connection.LocalEndPoint?.ToString() ?? "";

    private static string PeerOf(in ConnectionView view) => view.Connection.RemoteEndPoint?.ToString() ?? "";

    // Most of them have no name, but a process.
    private static string DescribeUnixPeer(in ConnectionView view) =>
        view.Connection.LocalEndPoint is UnixDomainSocketEndPoint
        && view.Connection is IUnixPeerCredentialsFeature feature
        && feature.GetPeerCredentials() is { } peer
            ? string.Create(CultureInfo.InvariantCulture, $"process {peer.ProcessId}, user {peer.UserId}")
            : "";
}
