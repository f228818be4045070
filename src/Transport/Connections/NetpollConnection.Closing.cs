using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Diagnostics;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// How this side closes the socket: decided by <c>Close</c>, and finished there, or, if another thread is in the middle of sending, by that
/// thread. The end of <see cref="DisposeAsync"/>, which has waited for everything to be sent, needs only the FIN.
/// </summary>
internal sealed partial class NetpollConnection
{
    // Bounds the work that a close does for a peer that keeps sending.
    private const int MaxDiscardedBytes = 1024 * 1024;
    private const int DiscardBlockSize = 8 * 1024;

    // A close that waits for the thread that is sending. Set after _closeReason, taken by the one who finishes it.
    private PendingClose? _pendingClose;

    /// <summary>
    /// What was queued when the peer's FIN was seen has left, or has had its time; or the thread that was sending when this side began to
    /// close has stopped, and what is left waits for the peer.
    /// </summary>
    public void OnSendingStopped(bool mayClose)
    {
        if (mayClose)
        {
            FinishClose();
        }

        FireConnectionClosed();
    }

    // How this side ends the connection, where it is not disposed of: see the table of NetpollConnection.
    private enum Ending
    {
        // By Abort(null).
        Graceful,

        // By the application, which has completed its output.
        OutputCompleted,

        // With a RST; or, if that is not wanted, with a FIN. No RST may overtake that one as the answer to what the peer is still sending.
        Broken,
    }

    // After the FIN, the socket may wait for the peer to finish.
    private enum Linger
    {
        Never,

        // If there is unread input, or output that has not been acknowledged.
        IfDangerous,

        // Nothing has come yet of what the peer is sending: a FIN is wanted all the same.
        Always,
    }

    private void Close(Exception reason, Ending ending)
    {
        if (Interlocked.CompareExchange(ref _closeReason, reason, null) is not null)
        {
            return;
        }

        NoteEnd(ending == Ending.Broken ? ConnectionEnd.Aborted : ConnectionEnd.Closed);

        // Bytes that came before a clean FIN belong to the application, which may read them after the graceful end. In any other case
        // it gets nothing more, decided before bytes are thrown away: what comes after them would look like the continuation.
        bool keepInput = ending != Ending.Broken && _inputEndedCleanly;
        try
        {
            if (!keepInput)
            {
                _reader.Abort(reason);
            }
        }
        catch (Exception e)
        {
            // The pool is foreign code, and this may be inside one of Kestrel's locks. The end is near anyway.
            NetpollTransportLog.UnexpectedException(Logger, ConnectionId, e);
        }
        finally
        {
            // A thread that is in the middle of sending what was flushed before is not cut short: it finishes the close when it stops.
            Volatile.Write(ref _pendingClose, new PendingClose(reason, ending, keepInput));
            if (_writer.FlushBeforeClose())
            {
                FinishClose();
            }
        }
    }

    // By whoever comes first: the one who closes, the thread that was sending, or the dispose.
    private void FinishClose()
    {
        if (Interlocked.Exchange(ref _pendingClose, null) is not { } close)
        {
            return;
        }

        bool reset = close.Ending == Ending.Broken && !_services.FinOnError;
        if (reset)
        {
            NetpollTransportLog.ConnectionWriteRst(Logger, ConnectionId, close.Reason.Message);
            _socket.Close(reset: true);
        }
        else
        {
            NetpollTransportLog.ConnectionWriteFin(Logger, ConnectionId, close.Reason.Message);
            CloseWithFin(close.KeepInput, close.Ending switch
            {
                Ending.Graceful => Linger.Never,
                Ending.OutputCompleted => Linger.IfDangerous,
                _ => Linger.Always,
            });
        }

        ReleaseExposedSocket(reset);
        try
        {
            _writer.Abort(close.Reason);
        }
        catch (Exception e)
        {
            // The same as above.
            NetpollTransportLog.UnexpectedException(Logger, ConnectionId, e);
        }

        FireConnectionClosed();
    }

    /// <summary>
    /// Closing with received bytes unread makes the kernel send RST, which can destroy a response that the peer has not
    /// read yet. So the write side is shut down first, and what has arrived by now is thrown away, within bounds. If there was anything,
    /// more is probably on its way, and a RST would answer that; if a part of the response is still under way, anything that comes could
    /// destroy it. In both cases the socket lingers after the last response, until the peer has finished, too.
    /// </summary>
    private void CloseWithFin(bool keepInput, Linger linger)
    {
        // Asked before the shutdown, whose FIN counts as unacknowledged, too.
        bool unsent = linger != Linger.Never && !keepInput && _socket.HasUnsentBytes();
        _socket.ShutdownSend();
        if (!keepInput)
        {
            bool ended = DiscardInput(out bool discardedAny);
            bool unread = discardedAny || _reader.HadUnreadInput;
            if (linger != Linger.Never
                && !ended
                && (unread || unsent || linger == Linger.Always)
                && _socket.Fd < _services.Headroom.FirstReserved
                && _services.Lingering.TryAdd(_socket, unread))
            {
                return;
            }
        }

        _socket.Close();
    }

    // True: the peer has ended the connection.
    private bool DiscardInput(out bool any)
    {
        any = false;
        Span<byte> scrap = stackalloc byte[DiscardBlockSize];
        for (int discarded = 0; discarded < MaxDiscardedBytes;)
        {
            SyscallResult received = _socket.Receive(scrap);
            if (received.IsError || received.Value == 0)
            {
                return !received.WouldBlock;
            }

            any = true;
            discarded += received.Value;
        }

        return false;
    }

    private sealed record PendingClose(Exception Reason, Ending Ending, bool KeepInput);
}
