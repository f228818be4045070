using System.Net;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// A bound endpoint: an acceptor for each worker group, and the queue between them and Kestrel's accept loop. An exception from an accept
/// would end that loop for good, so none leaves, except for a cancelled token.
/// </summary>
internal sealed class NetpollConnectionListener : IConnectionListener
{
    // How long an unbind waits for the port when a stuck worker holds an acceptor's turn, and with it the descriptor.
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);

    private readonly BoundSockets _sockets;
    private readonly Action<NetpollConnectionListener> _onClosed;
    private readonly AcceptQueue _queue = new();
    private readonly Acceptor[] _acceptors;

    // 0 until the first accept has started the acceptors, then 1: nothing is accepted before somebody wants it.
    private int _started;

    internal NetpollConnectionListener(NetpollTransportContext context, BoundSockets sockets, Action<NetpollConnectionListener> onClosed)
    {
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
    /// Stops accepting: a waiting accept gets null, and what was accepted and not taken is reset. Returns when the port is free again,
    /// unless a stuck worker keeps it from that; needs no worker itself. The token is ignored: Kestrel passes a cancelled one when it is in
    /// a hurry, and there is nothing here that could be left undone. May be called again.
    /// </summary>
    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        Task undelivered = _queue.Close();
        Task closed = Task.WhenAll(undelivered, _sockets.CloseAsync());
        await Task.WhenAny(closed, Task.Delay(CloseTimeout, CancellationToken.None)).ConfigureAwait(false);
        _onClosed(this);
    }

    public async ValueTask DisposeAsync()
    {
        await UnbindAsync(CancellationToken.None).ConfigureAwait(false);
        foreach (Acceptor acceptor in _acceptors)
        {
            await acceptor.DisposeAsync().ConfigureAwait(false);
        }
    }
}
