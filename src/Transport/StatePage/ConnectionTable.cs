using System.Globalization;
using System.Net.Sockets;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Transport.Connections;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>
/// Finds the connections that a query asks for, in one pass over all of them. No more are kept than are to be listed. What needs memory,
/// such as an endpoint's text, is made of those; of the others only where a filter or an order asks about it.
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
        // The worst of those that are kept is at the top, and gives way to a better one.
        Comparer<SortKey> worstFirst = Comparer<SortKey>.Create((one, other) => other.CompareTo(one, query.IsDescending));
        var best = new PriorityQueue<ConnectionView, SortKey>(worstFirst);
        matching = 0;
        foreach (ConnectionView view in views)
        {
            if (query.Filter.Length != 0 && !Matches(view, query.Filter))
            {
                continue;
            }

            matching++;
            if (best.Count < query.Limit)
            {
                best.Enqueue(view, KeyOf(view, query.Sort, matching));
            }
            else if (query.Limit != 0)
            {
                best.EnqueueDequeue(view, KeyOf(view, query.Sort, matching));
            }
        }

        var listed = new ConnectionReport[best.Count];
        for (int i = listed.Length - 1; i >= 0; i--)
        {
            listed[i] = Describe(best.Dequeue(), now, own);
        }

        return listed;
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

    private static SortKey KeyOf(in ConnectionView view, string column, int index) => column switch
    {
        "id" => new SortKey(view.Connection.ConnectionId, index),
        "endPoint" => new SortKey(EndPointOf(view), index),
        "peer" => new SortKey(PeerOf(view), index),
        "state" => new SortKey((int)view.Phase, index),
        "waitsFor" => new SortKey(NameOf(view.WaitsFor), index),
        "received" => new SortKey(view.Received, index),
        "sent" => new SortKey(view.Sent, index),
        "queued" => new SortKey(view.Queued, index),
        "deadline" => new SortKey(Math.Min(Rank(view.ReadDeadline), Rank(view.WriteDeadline)), index),

        // The oldest was accepted first.
        _ => new SortKey(-view.Connection.AcceptedAt, index),
    };

    private static long Rank(long deadline) => deadline == PollDeadline.None ? long.MaxValue : deadline;

    private static ConnectionReport Describe(in ConnectionView view, long now, string? own) => new()
    {
        Id = view.Connection.ConnectionId,
        EndPoint = EndPointOf(view),
        Peer = PeerOf(view),
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

    private static string PeerOf(in ConnectionView view) =>
        view.Connection.RemoteEndPoint?.ToString() is { Length: > 0 } name ? name : DescribeUnixPeer(view);

    // Most of them have no name, but a process. The connection asks the kernel once.
    private static string DescribeUnixPeer(in ConnectionView view) =>
        view.Connection.LocalEndPoint is UnixDomainSocketEndPoint
        && view.Connection is IUnixPeerCredentialsFeature feature
        && feature.GetPeerCredentials() is { } peer
            ? string.Create(CultureInfo.InvariantCulture, $"process {peer.ProcessId}, user {peer.UserId}")
            : "";

    // By what a connection is sorted: a number, or else a text. Of equal ones the one that was found first comes first.
    private readonly record struct SortKey(long Number, string? Text, int Index)
    {
        internal SortKey(long number, int index)
            : this(number, null, index)
        {
        }

        internal SortKey(string text, int index)
            : this(0, text, index)
        {
        }

        internal int CompareTo(in SortKey other, bool isDescending)
        {
            int order = Number.CompareTo(other.Number);
            if (order == 0)
            {
                order = string.CompareOrdinal(Text, other.Text);
            }

            return order == 0 ? Index.CompareTo(other.Index) : isDescending ? -Math.Sign(order) : order;
        }
    }
}
