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
            case AbandonedParked:
                _socket.EndWaitReadable();
                return;
            case Abandoned:
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
            connection = null;
            NetpollTransportLog.UnexpectedAcceptException(_context.Logger, EndPoint, e);
            if (Volatile.Read(ref _phase) is AbandonedParked or Abandoned)
            {
                // An unbind took the accept while it was about to park, and ends it.
                return Step.Pending;
            }

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

            Errno error = TryAccept(out connection, out Exception? failure);
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

                    if (Interlocked.CompareExchange(ref _phase, Idle, Parked) != Parked)
                    {
                        // An unbind has taken it for parked, and ends it.
                        return Step.Pending;
                    }

                    if (result is not (PollResult.Ready or PollResult.Closing))
                    {
                        // Nothing that a listening socket should report; trying again at once might go on for ever.
                        Delay(result.ToString());
                        return Step.Pending;
                    }

                    break;

                // Closed between the look at _unbound and the call.
                case Errno.EBADF when _unbound:
                    break;

                // EMFILE, ENFILE, ENOBUFS, ENOMEM, and whatever else: it may pass, and giving up would mean a dead endpoint.
                default:
                    Delay(failure?.Message ?? error.ToString());
                    return Step.Pending;
            }
        }

        return Step.Ended;
    }

    // A failure is the exception behind an errno that no system call has returned.
    private Errno TryAccept(out NetpollConnection? connection, out Exception? failure)
    {
        connection = null;
        failure = null;
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
            failure = e;
            return Errno.EIO;
        }
        catch (Exception e)
        {
            socket?.Close(reset: true);
            NetpollTransportLog.UnexpectedAcceptException(_context.Logger, EndPoint, e);
            failure = e;
            return Errno.EIO;
        }
    }

    /// <summary>Comes back later. The turn belongs to whoever ends the delay as soon as the phase is published.</summary>
    private void Delay(string reason)
    {
        TimeSpan delay = _backoff.OnFailure(out bool warn);
        if (warn)
        {
            NetpollTransportLog.AcceptBackoff(_context.Logger, EndPoint, delay.TotalMilliseconds, reason, _backoff.Failures);
        }

        // Read now: once the phase is published, the accept may end and another begin with another token.
        CancellationToken cancellationToken = _cancellationToken;
        Interlocked.Exchange(ref _phase, Delayed);
        bool armed = _timer.Change(delay, Timeout.InfiniteTimeSpan);

        // An unbind or a cancellation that came before the phase was published has looked in vain.
        if (_unbound)
        {
            EndOnThreadPool();
        }
        else if (!armed || cancellationToken.IsCancellationRequested)
        {
            EndDelay();
        }
    }

    /// <summary>By the timer or a cancellation. A late timer may cut a later delay short; that costs one try.</summary>
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

    /// <summary>By whoever has the turn, which is free.</summary>
    private void ScheduleTurn(int phase)
    {
        Interlocked.Exchange(ref _phase, phase);
        _socket.Group.Schedule(_turn);
        if (_unbound)
        {
            // It came before the phase was published, and has looked in vain.
            EndOnThreadPool();
        }
    }

    /// <summary>
    /// Once unbound: takes an accept from its turn and ends it. Finds nothing to do if the accept is running, which sees for itself
    /// that it has ended, or if there is none.
    /// </summary>
    private void EndOnThreadPool()
    {
        while (true)
        {
            int phase = Volatile.Read(ref _phase);
            int abandoned;
            switch (phase)
            {
                case Parked:
                    abandoned = AbandonedParked;
                    break;
                case Delayed:
                    abandoned = Idle;
                    break;
                case Queued or Delivering:
                    abandoned = Abandoned;
                    break;
                default:
                    return;
            }

            if (Interlocked.CompareExchange(ref _phase, abandoned, phase) == phase)
            {
                ThreadPool.UnsafeQueueUserWorkItem(static ended => ended.Listener.End(ended.Phase), (Listener: this, Phase: phase), preferLocal: false);
                return;
            }
        }
    }

    private void End(int phase)
    {
        try
        {
            if (phase == Delivering)
            {
                _source.Deliver();
                return;
            }

            _cancellationRegistration.Unregister();
            _source.SetResult(null);
        }
        catch (Exception e)
        {
            _turn.OnUnhandledException(e);
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
