using System.Net;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>
/// Accepts the connections of one listening descriptor, on the workers of its group, and hands them to the listener's queue. It is one
/// turn, which at any time is in one place only; who schedules it depends on the place:
/// <code>
///   the turn has            and is scheduled by
///   found no connection     the poller, when the descriptor becomes readable; the close
///   found no room           the timer, after a pause that doubles (see AcceptBackoff)
///   filled the queue        the queue, when Kestrel has taken enough
///   had its share           itself, behind the others
///   found the queue filled  nobody: it has ended
/// </code>
/// It always tries before it waits: the edge that announced a connection is spent when a turn stops early.
/// </summary>
internal sealed partial class Acceptor : IAsyncDisposable
{
    // A burst must not keep its worker from everything else.
    private const int MaxAcceptsPerTurn = 64;

    // So many connections in a row may turn out to be dead. A rule of the system that forbids them all looks the same, and must not keep a
    // worker busy for ever.
    private const int MaxErrorsInARow = 1024;

    private readonly ConnectionServices _services;
    private readonly ListenSocket _socket;
    private readonly AcceptQueue _queue;
    private readonly AcceptTurn _turn;
    private readonly Action _resume;
    private readonly AcceptBackoff _backoff;
    private readonly Timer _timer;

    // Errors of connections since the last that was none. Of the turn.
    private int _errorsInARow;

    // The turn is parked on the socket. Written by the turn, before it parks.
    private bool _parked;

    // How often the turn is being run: 1, or 2 for the moment between its being parked or scheduled and the end of its run. Interlocked.
    private int _running;

    // 1 while the turn is left to the timer. Interlocked: the timer may be late and fire in the middle of something else.
    private int _delayed;

    internal Acceptor(ConnectionServices services, ListenSocket socket, AcceptQueue queue, AcceptBackoff.Shared backoff)
    {
        _backoff = new AcceptBackoff(backoff);
        _services = services;
        _socket = socket;
        _queue = queue;
        _turn = new AcceptTurn(this);
        _resume = Schedule;

        // Fires once, in vain: the process's timer thread must be running before there is no descriptor left to start it with.
        _timer = new Timer(static state => ((Acceptor)state!).EndDelay(), this, 0, Timeout.Infinite);
    }

    /// <summary>
    /// Once the queue has been told to stop filling, with a full fence: may the turn still have a connection in its hands? If not, it never
    /// will.
    /// </summary>
    internal bool IsRunning => Volatile.Read(ref _running) != 0;

    /// <summary>Does it wait until there may be room again? Any thread; may be a moment old.</summary>
    internal bool IsPaused => Volatile.Read(ref _delayed) != 0;

    /// <summary>Runs the turn. To be called once to begin with, and then by whoever has stopped it.</summary>
    internal void Schedule() => _socket.Group.Schedule(_turn);

    /// <summary>Once the queue is closed: a turn that was left to the timer never comes.</summary>
    public ValueTask DisposeAsync() => _timer.DisposeAsync();

    private void Run()
    {
        if (_parked)
        {
            // Why it woke up does not matter: ready, closed and spurious all show in the next try.
            _parked = false;
            _socket.EndWaitReadable();
        }

        // A full fence, before the look at the queue: an unbind does it the other way round.
        Interlocked.Increment(ref _running);
        try
        {
            AcceptUntilStopped();
        }
        catch (Exception e)
        {
            // Nothing throws once the turn is somewhere else, so it is here, and not parked.
            _parked = false;
            NetpollTransportLog.UnexpectedAcceptException(_services.Logger, _socket.LocalEndPoint, e);
            Delay(e.GetType().Name);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    private void AcceptUntilStopped()
    {
        for (int tries = 0; tries < MaxAcceptsPerTurn;)
        {
            if (_queue.IsFilled)
            {
                return;
            }

            // Counting takes a lock, for which there is mostly no reason.
            if (_services.Headroom.IsTight && !_services.Headroom.HasRoom(_services.Connections.Count + _services.Lingering.Count))
            {
                Delay($"connections have taken all of the process's {_services.Headroom.Limit} descriptors but a reserve");
                return;
            }

            Errno error = TryAccept(out NetpollConnection? connection, out Exception? failure);
            if (failure is null && ListenSocket.IsErrorOfTheConnection(error))
            {
                // As for the Sockets transport: the connection ended before it had an id.
                NetpollTransportLog.ConnectionReset(_services.Logger, "(null)");
                if (++_errorsInARow == MaxErrorsInARow)
                {
                    _errorsInARow = 0;
                    Delay($"{MaxErrorsInARow} connections in a row had failed already, the last one with {error}");
                    return;
                }

                tries++;
                continue;
            }

            _errorsInARow = 0;
            switch (error)
            {
                case Errno.Success:
                    tries++;
                    if (_backoff.OnSuccess(!_services.Headroom.IsTight))
                    {
                        NetpollTransportLog.AcceptingAgain(_services.Logger, _socket.LocalEndPoint, _backoff.Failures);
                    }

                    if (connection is not null && !_queue.Offer(connection, _resume))
                    {
                        return;
                    }

                    break;

                case Errno.EAGAIN:
                    // Before it is parked, since it may be woken, and run, on another worker before the call returns.
                    _parked = true;
                    PollResult result = _socket.BeginWaitReadable(_turn);
                    if (result == PollResult.Pending)
                    {
                        return;
                    }

                    _parked = false;
                    if (result is not (PollResult.Ready or PollResult.Closing))
                    {
                        // Nothing that a listening socket should report; trying again at once might go on for ever.
                        Delay(result.ToString());
                        return;
                    }

                    break;

                // Closed, and so is the queue, now or in a moment.
                case Errno.EBADF when _socket.IsClosed:
                    return;

                // EMFILE, ENFILE, ENOBUFS, ENOMEM, and whatever else: it may pass, and giving up would mean a dead endpoint.
                default:
                    Delay(failure?.Message ?? error.ToString());
                    return;
            }
        }

        Schedule();
    }

    private void Delay(string reason)
    {
        TimeSpan delay = _backoff.OnFailure(out bool warn);
        if (warn)
        {
            NetpollTransportLog.AcceptBackoff(_services.Logger, _socket.LocalEndPoint, delay.TotalMilliseconds, reason, _backoff.Failures);
        }

        Interlocked.Exchange(ref _delayed, 1);
        _timer.Change(delay, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A late timer may cut a later delay short; that costs one try.</summary>
    private void EndDelay()
    {
        if (Interlocked.Exchange(ref _delayed, 0) != 0)
        {
            Schedule();
        }
    }

    private sealed class AcceptTurn(Acceptor acceptor) : Turn, ITurnSubject
    {
        public string? ConnectionId => null;

        public EndPoint? RemoteEndPoint => null;

        public EndPoint? LocalEndPoint => acceptor._socket.LocalEndPoint;

        internal override object Subject => this;

        internal override void Run() => acceptor.Run();

        // Only logging and the timer are outside of Run's own guard, so this is a bug; it must at least be seen.
        internal override void OnUnhandledException(Exception exception) =>
            NetpollTransportLog.UnexpectedAcceptException(acceptor._services.Logger, acceptor._socket.LocalEndPoint, exception);
    }
}
