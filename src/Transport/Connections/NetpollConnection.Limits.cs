using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Limits;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>The limits that the options set: what is looked at, and what happens to a connection that has reached one.</summary>
internal sealed partial class NetpollConnection : IWatchedConnection
{
    // Null where there are no limits.
    private ConnectionWatch? _watch;

    long IWatchedConnection.BytesReceived => _reader.BytesReceived;

    long IWatchedConnection.BytesSent => _writer.BytesSent;

    bool IWatchedConnection.IsReadWaiting => _reader.IsReadWaiting;

    long IWatchedConnection.QueuedBytes => _writer.QueuedBytes;

    bool IWatchedConnection.IsSending => _writer.IsSending;

    internal override ConnectionLimit LookAtLimits(long now) =>
        IsClosed || _watch is not { } watch ? ConnectionLimit.None : watch.Look(this, now);

    /// <summary>
    /// Says so, and closes the connection; for its age, Kestrel does. A peer that may be polite gets a FIN, as when Kestrel's own time for
    /// it is up. Where output would be lost, it gets a RST. The socket does not linger: who is too slow would be so again.
    /// </summary>
    internal override void OnLimitReached(ConnectionLimit limit)
    {
        NoteEnd(limit);
        TimeSpan value = _services.Limits!.ValueOf(limit);
        NetpollTransportLog.ConnectionLimitReached(Logger, ConnectionId, limit.ToString(), value);
        if (limit == ConnectionLimit.MaxConnectionAge)
        {
            return;
        }

        var reason = new ConnectionAbortedException($"The connection has reached {limit} ({value}).");
        bool losesOutput = limit == ConnectionLimit.WriteStallTimeout || _writer.QueuedBytes != 0;
        Close(reason, losesOutput ? Ending.Broken : Ending.Graceful);
    }

    int IWatchedConnection.CountUnacknowledged() => _socket.CountUnacknowledged();

    bool IWatchedConnection.HasSentOnly(long bytes) => _reader.HasReceivedAll(bytes);

    bool IWatchedConnection.TryRequestClose()
    {
        // Kestrel sets it when it begins with the connection. Its callbacks are Kestrel's, and the application's.
        if (_lifetimeNotificationFeature is not IConnectionLifetimeNotificationFeature notification)
        {
            return false;
        }

        ThreadPoolQueue.Add(
            static state =>
            {
                try
                {
                    state.Notification.RequestClose();
                }
                catch (Exception e)
                {
                    NetpollTransportLog.ConnectionClosedCallbackFailed(state.Connection.Logger, state.Connection.ConnectionId, e);
                }
            },
            (Connection: this, Notification: notification));
        return true;
    }

    private void BeginWatch()
    {
        if (_services.Limits is { } limits)
        {
            _watch = new ConnectionWatch(limits, AcceptedAt, Random.Shared.NextDouble());
        }
    }
}
