namespace KestrelNetpoll.Transport.Limits;

/// <summary>
/// Tells whether a connection has reached a limit, by looking at it from time to time: the connection itself does nothing for that. What
/// has changed between two looks is seen at the second one, so that a limit is reached late, by three intervals at most, and never early.
/// </summary>
/// <remarks>Made only where there are limits. One look at a time.</remarks>
internal sealed class ConnectionWatch
{
    // Connections that were opened together, as after a restart, must not all end together.
    private const double MaxJitter = 0.1;

    private readonly ConnectionLimits _limits;
    private readonly long _acceptedAt;
    private readonly long _maxAge;

    // How many bytes had been received at the last look at which they were others, or no read waited; and when that was.
    private long _received = -1;
    private long _idleSince;

    // The same of what the peer takes. _unacknowledged counts down as long as nothing more is sent.
    private long _sent = -1;
    private int _unacknowledged;
    private long _stalledSince;

    // The peer had taken everything; nothing has been sent or queued since.
    private bool _taken;

    private bool _closeRequested;

    /// <param name="limits">At least one.</param>
    /// <param name="acceptedAt">On the monotonic clock.</param>
    /// <param name="jitter">From 0 up to 1: where in its range the age of this connection lies.</param>
    internal ConnectionWatch(ConnectionLimits limits, long acceptedAt, double jitter)
    {
        _limits = limits;
        _acceptedAt = acceptedAt;
        _maxAge = limits.MaxConnectionAge == long.MaxValue
            ? long.MaxValue
            : limits.MaxConnectionAge + (long)(limits.MaxConnectionAge * MaxJitter * jitter);
    }

    /// <summary>
    /// The limit that the connection has reached, if any. After <see cref="ConnectionLimit.MaxConnectionAge"/>, which says so once, it goes
    /// on; after any other it has to be closed.
    /// </summary>
    internal ConnectionLimit Look(IWatchedConnection connection, long now)
    {
        if (_limits.WriteStallTimeout != long.MaxValue && HasStalled(connection, now))
        {
            return ConnectionLimit.WriteStallTimeout;
        }

        // Bytes that have come and that a server which is late has not received are no fault of the peer's: hence the last question.
        long received = connection.BytesReceived;
        if (received == 0 && now - _acceptedAt >= _limits.FirstByteTimeout && connection.HasSentOnly(received))
        {
            return ConnectionLimit.FirstByteTimeout;
        }

        if (received != _received || !connection.IsReadWaiting)
        {
            _received = received;
            _idleSince = now;
        }
        else if (now - _idleSince >= _limits.ReadIdleTimeout && connection.HasSentOnly(received))
        {
            return ConnectionLimit.ReadIdleTimeout;
        }

        if (!_closeRequested && now - _acceptedAt >= _maxAge && connection.TryRequestClose())
        {
            _closeRequested = true;
            return ConnectionLimit.MaxConnectionAge;
        }

        return ConnectionLimit.None;
    }

    // The kernel is asked only about connections that have not sent anything since the last look, until everything has been taken.
    private bool HasStalled(IWatchedConnection connection, long now)
    {
        long sent = connection.BytesSent;
        if (sent != _sent)
        {
            _sent = sent;
            BeginStall(int.MaxValue, now);
            return false;
        }

        bool queued = connection.QueuedBytes != 0;
        if (_taken && !queued)
        {
            return false;
        }

        int unacknowledged = connection.CountUnacknowledged();
        if (connection.IsSending || connection.BytesSent != _sent)
        {
            // Something has left since, of which there was no room before; or is leaving, and may be among those that were counted.
            BeginStall(int.MaxValue, now);
            return false;
        }

        if (unacknowledged == 0 && !queued)
        {
            _taken = true;
            return false;
        }

        // Of what is queued here, a peer that has taken everything else can take nothing: the server is late.
        if (_taken || unacknowledged == 0 || unacknowledged < _unacknowledged)
        {
            BeginStall(unacknowledged, now);
            return false;
        }

        return now - _stalledSince >= _limits.WriteStallTimeout;
    }

    private void BeginStall(int unacknowledged, long now)
    {
        _taken = false;
        _unacknowledged = unacknowledged;
        _stalledSince = now;
    }
}
