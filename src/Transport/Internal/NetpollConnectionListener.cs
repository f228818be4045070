using System.Net;
using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// A bound endpoint. Kestrel has one accept outstanding at a time; it continues on a worker, and an accept that would have to
/// wait is one of these:
/// <code>
///   phase       the accept's turn is          left by
///   Idle        running, or there is none     -
///   Parked      parked on the socket          the turn, which the poller, WakeReader or the close schedule; an unbind
///   Delayed     held back by the timer        whoever takes it to Queued: the timer, a cancellation; an unbind
///   Queued      in the group's queue          the turn, an unbind
///   Delivering  in the queue, to hand over a  the turn, an unbind
///               result that came before the
///               awaiter
///   Abandoned   where it was when the unbind  the turn, if it comes: it has nothing to say any more
///               took the accept from it
/// </code>
/// Every worker may be stuck in the application, and the server must stop all the same: an unbind takes the accept from its turn,
/// wherever that is, and ends it on the thread pool.
/// An exception from an accept would end Kestrel's accept loop for good, so none leaves, except for a cancelled token.
/// </summary>
internal sealed partial class NetpollConnectionListener : IConnectionListener, IValueTaskSource<ConnectionContext?>
{
    // A burst must not keep its worker from everything else.
    private const int MaxAcceptsInARow = 64;

    private const int Idle = 0;
    private const int Parked = 1;
    private const int Delayed = 2;
    private const int Queued = 3;
    private const int Delivering = 4;
    private const int AbandonedParked = 5;
    private const int Abandoned = 6;

    // How long an unbind waits for the port when a stuck worker holds the accept's turn, and with it the descriptor.
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);

    private readonly NetpollTransportContext _context;
    private readonly ListenSocket _socket;
    private readonly Action<NetpollConnectionListener> _onClosed;
    private readonly AcceptTurn _turn;
    private readonly AcceptBackoff _backoff = new(TimeProvider.System);
    private readonly Timer _timer;
    private readonly bool _isWildcard;

    private TurnValueTaskSource<ConnectionContext?> _source;
    private int _phase = Idle;

    // 1 from AcceptAsync until its result has been taken.
    private int _outstanding;

    // Belong to the outstanding accept.
    private CancellationToken _cancellationToken;
    private CancellationTokenRegistration _cancellationRegistration;
    private int _acceptsInARow;

    // Written before the unbind looks at the phase; the accept reads it after having published a phase that it leaves its turn in.
    private volatile bool _unbound;

    internal NetpollConnectionListener(NetpollTransportContext context, ListenSocket socket, Action<NetpollConnectionListener> onClosed)
    {
        _context = context;
        _socket = socket;
        _onClosed = onClosed;
        _turn = new AcceptTurn(this);
        EndPoint = socket.LocalEndPoint;
        _isWildcard = socket.LocalEndPoint.Address.Equals(IPAddress.Any) || socket.LocalEndPoint.Address.Equals(IPAddress.IPv6Any);

        // Fires once, in vain: the process's timer thread must be running before there is no descriptor left to start it with.
        _timer = new Timer(static state => ((NetpollConnectionListener)state!).EndDelay(), this, 0, Timeout.Infinite);
    }

    public EndPoint EndPoint { get; }

    /// <summary>The next connection, or null once the listener is unbound.</summary>
    /// <exception cref="InvalidOperationException">The previous accept has not been completed and awaited.</exception>
    public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        if (Interlocked.CompareExchange(ref _outstanding, 1, 0) != 0)
        {
            throw new InvalidOperationException("An accept is outstanding on this listener; only one is allowed at a time.");
        }

        _cancellationToken = cancellationToken;
        _source.Reset();
        short version = _source.Version;
        if (cancellationToken.CanBeCanceled)
        {
            _cancellationRegistration = cancellationToken.UnsafeRegister(static state => ((NetpollConnectionListener)state!).OnCancelled(), this);
        }

        if (_acceptsInARow >= MaxAcceptsInARow && !_unbound)
        {
            _acceptsInARow = 0;
            ScheduleTurn(Queued);
            return new ValueTask<ConnectionContext?>(this, version);
        }

        Step step = AdvanceGuarded(out NetpollConnection? connection);
        if (step == Step.Pending)
        {
            return new ValueTask<ConnectionContext?>(this, version);
        }

        _cancellationRegistration.Unregister();
        Volatile.Write(ref _outstanding, 0);
        return step == Step.Cancelled
            ? ValueTask.FromCanceled<ConnectionContext?>(cancellationToken)
            : new ValueTask<ConnectionContext?>(connection);
    }

    /// <summary>
    /// Stops accepting; a waiting accept gets null. Returns when the port is free again, unless a stuck worker keeps it from that.
    /// The token is ignored: Kestrel passes a cancelled one when it is in a hurry, and there is nothing here that could be left
    /// undone. May be called again.
    /// </summary>
    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _unbound = true;
        Task closed = _socket.CloseAsync();
        EndOnThreadPool();
        await Task.WhenAny(closed, Task.Delay(CloseTimeout, CancellationToken.None)).ConfigureAwait(false);
        _onClosed(this);
    }

    public async ValueTask DisposeAsync()
    {
        await UnbindAsync(CancellationToken.None).ConfigureAwait(false);
        await _timer.DisposeAsync().ConfigureAwait(false);
    }

    ConnectionContext? IValueTaskSource<ConnectionContext?>.GetResult(short token)
    {
        try
        {
            return _source.GetResult(token);
        }
        finally
        {
            Volatile.Write(ref _outstanding, 0);
        }
    }

    ValueTaskSourceStatus IValueTaskSource<ConnectionContext?>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<ConnectionContext?>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (_source.OnCompleted(continuation, state, token, flags))
        {
            if (Volatile.Read(ref _phase) == Idle)
            {
                // The accept is over, so its turn is free.
                ScheduleTurn(Delivering);
            }
            else
            {
                // Abandoned, and the turn is still somewhere.
                ThreadPool.UnsafeQueueUserWorkItem(static listener => listener._source.Deliver(), this, preferLocal: false);
            }
        }
    }
}
