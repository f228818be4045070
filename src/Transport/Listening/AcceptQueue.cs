using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>
/// Where the acceptors of a listener, which run on workers, hand connections to Kestrel's accept loop, which has one accept outstanding at
/// a time. A waiting accept gets its connection directly and goes on inline, on the acceptor's worker; so the queue only fills when several
/// acceptors run at once, or while the loop is busy elsewhere. It is short: Kestrel's limit of concurrent connections counts what
/// it has got.
/// </summary>
/// <remarks>
/// <para>Its end has two steps, because an acceptor may have a connection in its hands, whose client has sent a request already:</para>
/// <code>
///   state     acceptors                        an accept gets                        becomes
///   open      go on                            a connection, or waits                filled, by StopFilling
///   filled    hand over what they have, stop   the same                              closed, by Close, once no acceptor runs
///   closed    what they hand over is ended     a connection, or null if none is left
/// </code>
/// <para>Thread-safe. No continuation runs under the lock, nor inside <see cref="Close"/> or a cancellation.</para>
/// </remarks>
internal sealed class AcceptQueue : IValueTaskSource<ConnectionContext?>
{
    /// <summary>From this many on, an acceptor that hands over another one has to stop.</summary>
    internal const int Capacity = 16;

    // Guards _connections, _held, _waiting, _closed, _token, _tokenRegistration.
    private readonly Lock _lock = new();
    private readonly Queue<NetpollConnection> _connections = new();

    // Acceptors that stopped because the queue was full; each is started again once.
    private readonly List<Acceptor> _held = [];
    private bool _waiting;
    private bool _closed;

    // Written once, without the lock.
    private volatile bool _filled;
    private CancellationToken _token;
    private CancellationTokenRegistration _tokenRegistration;

    // 1 from AcceptAsync until its result has been taken. Interlocked.
    private int _outstanding;

    // Whoever sets _waiting back to false completes it, once.
    private TurnValueTaskSource<ConnectionContext?> _source;

    /// <summary>No connection is to be accepted for it any more.</summary>
    internal bool IsFilled => _filled;

    /// <summary>The next connection, or null once the queue is closed and empty.</summary>
    /// <exception cref="InvalidOperationException">The previous accept has not been completed and awaited.</exception>
    internal ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken)
    {
        if (Interlocked.CompareExchange(ref _outstanding, 1, 0) != 0)
        {
            throw new InvalidOperationException("An accept is outstanding on this listener; only one is allowed at a time.");
        }

        if (cancellationToken.IsCancellationRequested)
        {
            Volatile.Write(ref _outstanding, 0);
            return ValueTask.FromCanceled<ConnectionContext?>(cancellationToken);
        }

        NetpollConnection? connection;
        Acceptor[] released = [];
        short version = 0;
        bool wait = false;
        lock (_lock)
        {
            if (_connections.TryDequeue(out connection))
            {
                if (_held.Count != 0 && _connections.Count < Capacity / 2)
                {
                    released = [.. _held];
                    _held.Clear();
                }
            }
            else if (!_closed)
            {
                _source.Reset();
                version = _source.Version;
                _token = cancellationToken;
                _waiting = wait = true;
            }
        }

        foreach (Acceptor acceptor in released)
        {
            acceptor.Schedule();
        }

        if (!wait)
        {
            Volatile.Write(ref _outstanding, 0);
            return new ValueTask<ConnectionContext?>(connection);
        }

        if (cancellationToken.CanBeCanceled)
        {
            RegisterToken(cancellationToken);
        }

        return new ValueTask<ConnectionContext?>(this, version);
    }

    /// <summary>
    /// On a worker, by an acceptor. False: it must not go on, because the queue is full, and it will be scheduled when there is room, or
    /// because the queue is closed, and the connection with it.
    /// </summary>
    internal bool Offer(NetpollConnection connection, Acceptor acceptor)
    {
        bool room = true;
        CancellationTokenRegistration registration = default;
        lock (_lock)
        {
            if (!_closed)
            {
                if (!_waiting)
                {
                    _connections.Enqueue(connection);
                    room = _connections.Count < Capacity;
                    if (!room)
                    {
                        _held.Add(acceptor);
                    }

                    return room;
                }

                registration = StopWaiting();
            }
            else
            {
                room = false;
            }
        }

        if (!room)
        {
            _ = EndUndeliveredAsync(connection);
            return false;
        }

        registration.Unregister();

        // Kestrel's loop goes on in here and may have begun the next accept when this returns.
        _source.SetResult(connection);
        return true;
    }

    /// <summary>Acceptors stop after the connection that they have in their hands. A full fence. May be called again.</summary>
    internal void StopFilling()
    {
        _filled = true;
        Interlocked.MemoryBarrier();
    }

    /// <summary>
    /// An accept that waits gets null, as will every later one that finds nothing. Connections that are there can still be taken. May be
    /// called again.
    /// </summary>
    internal void Close()
    {
        CancellationTokenRegistration registration = default;
        bool waited;
        lock (_lock)
        {
            _closed = true;
            _held.Clear();
            waited = _waiting;
            if (waited)
            {
                registration = StopWaiting();
            }
        }

        if (waited)
        {
            registration.Unregister();
            ThreadPoolQueue.Add(static queue => queue._source.SetResult(null), this);
        }
    }

    /// <summary>Once it is closed: ends the connections that nobody has taken. Returns when they have ended.</summary>
    internal Task EndUndeliveredAsync()
    {
        NetpollConnection[] undelivered;
        lock (_lock)
        {
            undelivered = [.. _connections];
            _connections.Clear();
        }

        return Task.WhenAll(undelivered.Select(EndUndeliveredAsync));
    }

    ConnectionContext? IValueTaskSource<ConnectionContext?>.GetResult(short token)
    {
        // Another accept's token throws here. Whoever asks at the wrong time or for the wrong accept must not end the one outstanding.
        if (_source.GetStatus(token) == ValueTaskSourceStatus.Pending)
        {
            throw new InvalidOperationException("The accept has not been completed yet.");
        }

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
            ThreadPoolQueue.Add(static queue => queue._source.Deliver(), this);
        }
    }

    // As the kernel does with what was not accepted: the client learns at once that it has to go elsewhere.
    private static async Task EndUndeliveredAsync(NetpollConnection connection)
    {
        try
        {
            connection.Abort(new ConnectionAbortedException("The listener was unbound before the connection was served."));
        }
        finally
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Under the lock.
    private CancellationTokenRegistration StopWaiting()
    {
        CancellationTokenRegistration registration = _tokenRegistration;
        _waiting = false;
        _token = default;
        _tokenRegistration = default;
        return registration;
    }

    // The token can be cancelled between the caller's look at it and here; then the callback runs at once, on this thread.
    private void RegisterToken(CancellationToken cancellationToken)
    {
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
            static (state, token) => ((AcceptQueue)state!).OnCancelled(token), this);
        lock (_lock)
        {
            // Whoever waits is still this accept: nobody can accept again before this call has returned.
            if (_waiting)
            {
                _tokenRegistration = registration;
                return;
            }
        }

        registration.Unregister();
    }

    private void OnCancelled(CancellationToken token)
    {
        lock (_lock)
        {
            // A late callback, of an accept that has ended, does no harm: the next one either has another token or is meant.
            if (!_waiting || _token != token)
            {
                return;
            }

            StopWaiting();
        }

        ThreadPoolQueue.Add(
            static state => state.Queue._source.SetException(new OperationCanceledException(state.Token)), (Queue: this, Token: token));
    }
}
