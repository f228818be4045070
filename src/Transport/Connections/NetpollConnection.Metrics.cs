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

    // Interlocked: the first one stays.
    private ConnectionEnd _end;

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

    private void NoteEnd(ConnectionEnd end) => Interlocked.CompareExchange(ref _end, end, ConnectionEnd.None);

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
    // nobody else adds one at the time.
    private void OnMetricsTagsSet(IConnectionMetricsTagsFeature tags) => (_completeFeature as IConnectionCompleteFeature)?.OnCompleted(
        static state =>
        {
            var (connection, tags) = ((NetpollConnection, IConnectionMetricsTagsFeature))state;
            tags.Tags.Add(new KeyValuePair<string, object?>(EndTag, NameOf(connection._end)));
            return Task.CompletedTask;
        },
        (this, tags));
}
