using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
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

    // Guards everything below, as far as it is not said to be otherwise.
    private readonly Lock _lock = new();
    private readonly Queue<ConnectionContext> _connections = new();

    // Acceptors that stopped because the queue was full; each is started again once, in this way.
    private readonly List<Action> _held = [];
    private bool _closed;

    // Written once, without the lock.
    private volatile bool _filled;

    // Whoever ends the wait completes it, once.
    private OneWait<ConnectionContext?> _accept;

    /// <summary>No connection is to be accepted for it any more.</summary>
    internal bool IsFilled => _filled;

    /// <summary>The next connection, or null once the queue is closed and empty.</summary>
    /// <exception cref="InvalidOperationException">The previous accept has not been completed and awaited.</exception>
    internal ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken)
    {
        ConnectionContext? connection;
        Action[] released = [];
        short? version = null;
        lock (_lock)
        {
            if (_accept.IsOut)
            {
                throw new InvalidOperationException("An accept is outstanding on this listener; only one is allowed at a time.");
            }

            if (cancellationToken.IsCancellationRequested)
            {
                return ValueTask.FromCanceled<ConnectionContext?>(cancellationToken);
            }

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
                _accept.BeginLocked(cancellationToken);
                version = _accept.Version;
            }
        }

        foreach (Action resume in released)
        {
            resume();
        }

        if (version is not { } waiting)
        {
            return new ValueTask<ConnectionContext?>(connection);
        }

        _accept.RegisterToken(
            _lock, this, static (queue, token) => ((AcceptQueue)queue!).OnCancelled(token), cancellationToken);
        return new ValueTask<ConnectionContext?>(this, waiting);
    }

    /// <summary>
    /// On a worker, by an acceptor. False: it must not go on. Either the queue is full, and it will be resumed when there is room. Or the
    /// queue is closed, and the connection with it.
    /// </summary>
    internal bool Offer(ConnectionContext connection, Action resume)
    {
        bool room = true;
        CancellationTokenRegistration registration = default;
        lock (_lock)
        {
            if (!_closed)
            {
                if (!_accept.Waits)
                {
                    _connections.Enqueue(connection);
                    room = _connections.Count < Capacity;
                    if (!room)
                    {
                        _held.Add(resume);
                    }

                    return room;
                }

                registration = _accept.EndLocked();
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
        _accept.SetResult(connection);
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
            waited = _accept.Waits;
            if (waited)
            {
                registration = _accept.EndLocked();
            }
        }

        if (waited)
        {
            registration.Unregister();
            ThreadPoolQueue.Add(static queue => queue._accept.SetResult(null), this);
        }
    }

    /// <summary>Once it is closed: ends the connections that nobody has taken. Returns when they have ended.</summary>
    internal Task EndUndeliveredAsync()
    {
        ConnectionContext[] undelivered;
        lock (_lock)
        {
            undelivered = [.. _connections];
            _connections.Clear();
        }

        return Task.WhenAll(undelivered.Select(EndUndeliveredAsync));
    }

    ConnectionContext? IValueTaskSource<ConnectionContext?>.GetResult(short token)
    {
        // Another accept's token throws here.
        if (_accept.GetStatus(token) == ValueTaskSourceStatus.Pending)
        {
            throw new InvalidOperationException("The accept has not been completed yet.");
        }

        return _accept.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<ConnectionContext?>.GetStatus(short token) => _accept.GetStatus(token);

    void IValueTaskSource<ConnectionContext?>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (_accept.OnCompleted(continuation, state, token, flags))
        {
            ThreadPoolQueue.Add(static queue => queue._accept.Deliver(), this);
        }
    }

    // As the kernel does with what was not accepted: the client learns at once that it has to go elsewhere.
    private static async Task EndUndeliveredAsync(ConnectionContext connection)
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

    private void OnCancelled(CancellationToken token)
    {
        lock (_lock)
        {
            if (!_accept.TryCancelLocked(token))
            {
                return;
            }

            _accept.EndLocked();
        }

        ThreadPoolQueue.Add(
            static state => state.Queue._accept.SetException(new OperationCanceledException(state.Token)), (Queue: this, Token: token));
    }
}
