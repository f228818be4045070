using KestrelNetpoll.Transport.Limits;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// Tells Kestrel's metrics why the connection has ended. Kestrel sets the feature only where somebody listens to its
/// <c>kestrel.connection.duration</c>: all others pay for a byte.
/// </summary>
internal sealed partial class NetpollConnection
{
    internal const string EndTag = "netpoll.connection.end";

    // Interlocked: the first one stays, unless it was a soft one.
    private ConnectionEnd _end;

    // There is one tag, whoever sets the feature again. Kestrel, and middleware after it, set features one at a time.
    private bool _tellsEnd;

    /// <summary>Any thread.</summary>
    internal ConnectionEnd End => _end;

    internal static string NameOf(ConnectionEnd end) => end switch
    {
        ConnectionEnd.PeerFinished => "peer_finished",
        ConnectionEnd.PeerReset => "peer_reset",
        ConnectionEnd.SocketError => "socket_error",
        ConnectionEnd.Aborted => "aborted",
        ConnectionEnd.WriteDeadline => "write_deadline",
        ConnectionEnd.FirstByteTimeout => "first_byte_timeout",
        ConnectionEnd.ReadIdleTimeout => "read_idle_timeout",
        ConnectionEnd.WriteStallTimeout => "write_stall_timeout",
        ConnectionEnd.MaxConnectionAge => "max_connection_age",
        _ => "closed",
    };

    // After a soft end the connection goes on for as long as there is something to send, and what cuts that short says more.
    private void NoteEnd(ConnectionEnd end)
    {
        ConnectionEnd first = Interlocked.CompareExchange(ref _end, end, ConnectionEnd.None);
        if (IsSoft(first) && CutsShort(end))
        {
            Interlocked.CompareExchange(ref _end, end, first);
        }
    }

    private static bool IsSoft(ConnectionEnd end) => end is ConnectionEnd.PeerFinished or ConnectionEnd.MaxConnectionAge;

    // Not what this side does without saying why: that is how it answers a soft end.
    private static bool CutsShort(ConnectionEnd end) =>
        end is not (ConnectionEnd.None or ConnectionEnd.Closed or ConnectionEnd.Aborted) && !IsSoft(end);

    private void NoteEnd(Exception socketError) =>
        NoteEnd(socketError is ConnectionResetException ? ConnectionEnd.PeerReset : ConnectionEnd.SocketError);

    private void NoteEnd(ConnectionLimit limit) => NoteEnd(limit switch
    {
        ConnectionLimit.FirstByteTimeout => ConnectionEnd.FirstByteTimeout,
        ConnectionLimit.ReadIdleTimeout => ConnectionEnd.ReadIdleTimeout,
        ConnectionLimit.WriteStallTimeout => ConnectionEnd.WriteStallTimeout,
        _ => ConnectionEnd.MaxConnectionAge,
    });

    // The tags are a list that nobody locks. What is registered here runs when the pipeline has ended, and before the tags are read; so
    // nobody else adds one at the time. The first list is Kestrel's, which it reads.
    private void OnMetricsTagsSet(IConnectionMetricsTagsFeature tags)
    {
        if (_tellsEnd || _completeFeature is not IConnectionCompleteFeature complete)
        {
            return;
        }

        _tellsEnd = true;
        try
        {
            complete.OnCompleted(
                static state =>
                {
                    var (connection, tags) = ((NetpollConnection, IConnectionMetricsTagsFeature))state;
                    connection.AddEndTo(tags.Tags);
                    return Task.CompletedTask;
                },
                (this, tags));
        }
        catch (InvalidOperationException)
        {
            // It is complete already. Whoever sets a feature that late has no use for the tag, and must not fail for it.
        }
    }

    private void AddEndTo(ICollection<KeyValuePair<string, object?>> tags)
    {
        // An application may have said something of its own under this name.
        if (!tags.Any(static tag => tag.Key == EndTag))
        {
            tags.Add(new KeyValuePair<string, object?>(EndTag, NameOf(_end)));
        }
    }
}
