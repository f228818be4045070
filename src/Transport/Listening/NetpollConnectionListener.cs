using System.Net;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Hosting;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>
/// A bound endpoint: an acceptor for each worker group, and the queue between them and Kestrel's accept loop. An exception from an accept
/// would end that loop for good, so none leaves, except for a cancelled token.
/// </summary>
internal sealed class NetpollConnectionListener : IConnectionListener
{
    // How long an unbind waits for acceptors and the port when a stuck worker holds an acceptor's turn, and with it the descriptor.
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(1);

    private readonly NetpollTransportContext _context;
    private readonly BoundSockets _sockets;
    private readonly Action<NetpollConnectionListener> _onClosed;
    private readonly AcceptQueue _queue = new();
    private readonly Acceptor[] _acceptors;

    // 0 until the first accept has started the acceptors, then 1: nothing is accepted before somebody wants it.
    private int _started;

    // Completed by the first unbind; null before there is one. Interlocked.
    private TaskCompletionSource? _unbound;

    internal NetpollConnectionListener(NetpollTransportContext context, BoundSockets sockets, Action<NetpollConnectionListener> onClosed)
    {
        _context = context;
        _sockets = sockets;
        _onClosed = onClosed;
        var backoff = new AcceptBackoff.Shared(TimeProvider.System);
        _acceptors = [.. sockets.Sockets.Select(socket => new Acceptor(context, socket, _queue, backoff))];
    }

    public EndPoint EndPoint => _sockets.LocalEndPoint;

    /// <summary>The next connection, or null once the listener is unbound.</summary>
    /// <exception cref="InvalidOperationException">The previous accept has not been completed and awaited.</exception>
    public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        ValueTask<ConnectionContext?> accepting = _queue.AcceptAsync(cancellationToken);
        if (Volatile.Read(ref _started) == 0 && Interlocked.Exchange(ref _started, 1) == 0)
        {
            foreach (Acceptor acceptor in _acceptors)
            {
                acceptor.Schedule();
            }
        }

        return accepting;
    }

    /// <summary>
    /// Stops accepting: what has been accepted can still be taken, and then accepts get null. Returns when the port is free again, unless a
    /// stuck worker keeps it from that, and when Kestrel has begun with the connections that it has just been given, both for a second at
    /// most. Needs no worker itself. A token that is cancelled, which Kestrel passes when it is in a hurry, only ends the waiting. May be
    /// called again.
    /// </summary>
    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        var unbound = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (Interlocked.CompareExchange(ref _unbound, unbound, null) is { } first)
        {
            await first.Task.ConfigureAwait(false);
            return;
        }

        try
        {
            await UnbindOnceAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _onClosed(this);
            unbound.SetResult();
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Nobody begins with a connection now, if nobody has.
        await UnbindAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await _queue.EndUndeliveredAsync().ConfigureAwait(false);
        foreach (Acceptor acceptor in _acceptors)
        {
            await acceptor.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Of each of its sockets that has one. Any thread.</summary>
    internal IEnumerable<NetpollAcceptQueue> GetAcceptQueues()
    {
        foreach (ListenSocket socket in _sockets.Distinct)
        {
            if (socket.TryGetQueue(out int pending, out int limit))
            {
                yield return new NetpollAcceptQueue(socket.LocalEndPoint, pending, limit);
            }
        }
    }

    private async Task UnbindOnceAsync(CancellationToken cancellationToken)
    {
        long deadline = MonotonicClock.After(CloseTimeout);
        _queue.StopFilling();
        Task closed = _sockets.CloseAsync();

        // One of them may have accepted a connection, and not handed it over.
        while (_acceptors.Any(static acceptor => acceptor.IsRunning) && MonotonicClock.Now < deadline)
        {
            await Task.Delay(LookInterval, CancellationToken.None).ConfigureAwait(false);
        }

        _queue.Close();
        long left = Math.Max(0, deadline - MonotonicClock.Now) / MonotonicClock.NanosecondsPerMillisecond;
        await Task.WhenAny(closed, Task.Delay(TimeSpan.FromMilliseconds(left), CancellationToken.None)).ConfigureAwait(false);
        await _context.Connections.WaitForFirstReadsAsync(_context.FirstReadTimeout, cancellationToken).ConfigureAwait(false);
    }
}
