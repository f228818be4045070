using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// One accept, from the first try to its end. It always tries before it waits: the edge that announced a connection is spent
/// when an accept stops early, for fairness or for lack of room, and none would come again.
/// </summary>
internal sealed partial class NetpollConnectionListener
{
    private enum Step
    {
        Accepted,

        // Unbound: Kestrel gets null, and its loop ends.
        Ended,
        Cancelled,
        Pending,
    }

    /// <summary>The accept's turn.</summary>
    private void Continue()
    {
        switch (Interlocked.Exchange(ref _phase, Idle))
        {
            // Why it woke up does not matter: ready, closed and spurious all show in the next try.
            case Parked:
                _socket.EndWaitReadable();
                break;
            case Delivering:
                _source.Deliver();
                return;
        }

        Step step = AdvanceGuarded(out NetpollConnection? connection);
        if (step == Step.Pending)
        {
            return;
        }

        _cancellationRegistration.Unregister();

        // Kestrel's accept loop continues in here and may have begun the next accept when this returns: touch nothing afterwards.
        if (step == Step.Cancelled)
        {
            _source.SetException(new OperationCanceledException(_cancellationToken));
        }
        else
        {
            _source.SetResult(connection);
        }
    }

    private Step AdvanceGuarded(out NetpollConnection? connection)
    {
        try
        {
            return Advance(out connection);
        }
        catch (Exception e)
        {
            // Nothing in there throws once the turn belongs to somebody else, so it is still this thread's.
            connection = null;
            LogQuietly(() => NetpollTransportLog.UnexpectedAcceptException(_context.Logger, EndPoint, e));
            Delay(e.GetType().Name);
            return Step.Pending;
        }
    }

    /// <summary>Accepts, or leaves the turn parked, delayed or queued: then it may be running elsewhere already.</summary>
    private Step Advance(out NetpollConnection? connection)
    {
        connection = null;
        while (!_unbound)
        {
            if (_cancellationToken.IsCancellationRequested)
            {
                return Step.Cancelled;
            }

            if (!_context.Headroom.HasRoom(_context.Connections.Count))
            {
                Delay($"connections have taken all of the process's {_context.Headroom.Limit} descriptors but a reserve");
                return Step.Pending;
            }

            Errno error = TryAccept(out connection);
            switch (error)
            {
                case Errno.Success:
                    _acceptsInARow++;
                    _backoff.OnSuccess();
                    return Step.Accepted;

                case Errno.EAGAIN:
                    _acceptsInARow = 0;

                    // Before it is parked, since it may be woken, and read this, on another worker before the call returns.
                    Volatile.Write(ref _phase, Parked);
                    PollResult result = _socket.BeginWaitReadable(_turn);
                    if (result == PollResult.Pending)
                    {
                        return Step.Pending;
                    }

                    Volatile.Write(ref _phase, Idle);
                    if (result is not (PollResult.Ready or PollResult.Closing))
                    {
                        // Nothing that a listening socket should report; trying again at once might go on for ever.
                        Delay(result.ToString());
                        return Step.Pending;
                    }

                    break;

                // The connection died in the queue; the next one may be fine.
                case Errno.ECONNABORTED or Errno.ECONNRESET or Errno.EPROTO or Errno.ETIMEDOUT
                    or Errno.ENETDOWN or Errno.ENETUNREACH or Errno.EHOSTDOWN or Errno.EHOSTUNREACH:
                    NetpollTransportLog.ConnectionReset(_context.Logger, connectionId: null);
                    break;

                // Closed between the look at _unbound and the call.
                case Errno.EBADF when _unbound:
                    break;

                // EMFILE, ENFILE, ENOBUFS, ENOMEM, and whatever else: it may pass, and giving up would mean a dead endpoint.
                default:
                    Delay(error.ToString());
                    return Step.Pending;
            }
        }

        return Step.Ended;
    }

    private Errno TryAccept(out NetpollConnection? connection)
    {
        connection = null;
        StreamSocket? socket = null;
        try
        {
            SyscallResult result = _socket.Accept(_context.Runtime.NextGroup(), out socket);
            if (socket is null)
            {
                return result.Errno;
            }

            _context.Headroom.OnAccepted(socket.Fd);

            // A listener on one address has it in common with its connections; one on all addresses does not.
            EndPoint? localEndPoint = _isWildcard ? socket.GetLocalEndPoint() : EndPoint;
            NetpollConnection accepted = _context.CreateConnection(socket, localEndPoint);
            accepted.Start();
            connection = accepted;
            return Errno.Success;
        }
        catch (SocketException e)
        {
            // The kernel has no room for another watch. This connection is lost, the listener is not.
            socket?.Close(reset: true);
            NetpollTransportLog.ConnectionError(_context.Logger, connectionId: null, e);
            return Errno.ENOSPC;
        }
        catch (Exception e)
        {
            socket?.Close(reset: true);
            NetpollTransportLog.UnexpectedAcceptException(_context.Logger, EndPoint, e);
            return Errno.ENOMEM;
        }
    }

    /// <summary>Comes back later. The turn belongs to whoever ends the delay as soon as the phase is published.</summary>
    private void Delay(string reason)
    {
        TimeSpan delay = _backoff.OnFailure(out bool warn);
        if (warn)
        {
            LogQuietly(() => NetpollTransportLog.AcceptBackoff(_context.Logger, EndPoint, delay.TotalMilliseconds, reason, _backoff.Failures));
        }

        // Read now: once the phase is published, the accept may end and another begin with another token.
        CancellationToken cancellationToken = _cancellationToken;
        Interlocked.Exchange(ref _phase, Delayed);
        bool armed = _timer.Change(delay, Timeout.InfiniteTimeSpan);

        // An unbind or a cancellation that came before the phase was published has looked in vain.
        if (!armed || _unbound || cancellationToken.IsCancellationRequested)
        {
            EndDelay();
        }
    }

    /// <summary>By the timer, an unbind or a cancellation. A late timer may cut a later delay short; that costs one try.</summary>
    private void EndDelay()
    {
        if (Interlocked.CompareExchange(ref _phase, Queued, Delayed) == Delayed)
        {
            _socket.Group.Schedule(_turn);
        }
    }

    private void OnCancelled()
    {
        EndDelay();
        _socket.WakeReader();
    }

    // What there is no descriptor for, a logger may be short of as well; the endpoint must not die of that.
    private static void LogQuietly(Action log)
    {
        try
        {
            log();
        }
        catch (Exception)
        {
            // There is nobody left to tell.
        }
    }

    private sealed class AcceptTurn(NetpollConnectionListener listener) : Turn
    {
        internal override void Run() => listener.Continue();

        // Neither Kestrel's loop nor an accept throws, so this is a bug; it must at least be seen.
        internal override void OnUnhandledException(Exception exception) =>
            NetpollTransportLog.UnexpectedAcceptException(listener._context.Logger, listener.EndPoint, exception);
    }
}
