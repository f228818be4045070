using System.Net;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
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

    // In _start: nothing is accepted before somebody wants it, nor, of sockets that another process serves still, before that one leaves
    // it to this.
    private const int Wanted = 1;
    private const int Allowed = 2;

    private readonly ConnectionServices _services;
    private readonly BoundSockets _sockets;
    private readonly Action<NetpollConnectionListener> _onClosed;
    private readonly AcceptQueue _queue = new();
    private readonly AcceptBackoff.Shared _backoff;
    private readonly Acceptor[] _acceptors;

    // The acceptors are started by whoever makes this Wanted | Allowed.
    private int _start;

    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Completed by the first unbind; null before there is one. Interlocked.
    private TaskCompletionSource? _unbound;

    // Cancelled by whoever unbinds and is in a hurry, also if somebody else is at it. Without a timer, so that it need not be disposed of.
    private readonly CancellationTokenSource _hurry = new();

    /// <param name="services">What its connections use.</param>
    /// <param name="requested">The endpoint that was to be bound.</param>
    /// <param name="sockets">The sockets; they are owned from now on.</param>
    /// <param name="isHeld">Nothing is accepted before <see cref="Release"/>.</param>
    /// <param name="onClosed">Called when it is unbound.</param>
    internal NetpollConnectionListener(
        ConnectionServices services,
        EndPoint requested,
        BoundSockets sockets,
        bool isHeld,
        Action<NetpollConnectionListener> onClosed)
    {
        _start = isHeld ? 0 : Allowed;
        IsInherited = isHeld;
        Requested = requested;
        _services = services;
        _sockets = sockets;
        _onClosed = onClosed;
        _backoff = new AcceptBackoff.Shared(TimeProvider.System);
        _acceptors = [.. sockets.Sockets.Select(socket => new Acceptor(services, socket, _queue, _backoff))];
    }

    public EndPoint EndPoint => _sockets.LocalEndPoint;

    /// <summary>As it was asked for, perhaps with port 0.</summary>
    internal EndPoint Requested { get; }

    internal BoundSockets Sockets => _sockets;

    /// <summary>It goes on with another process's sockets.</summary>
    internal bool IsInherited { get; }

    /// <summary>
    /// Completes when it is unbound, and this process has no descriptor of the sockets any more; or a second later, if code that decides
    /// about connections does not return.
    /// </summary>
    internal Task WhenClosed => _closed.Task;

    /// <summary>How accepting goes. Any thread; may be a moment old.</summary>
    internal ListenerState State => new(EndPoint, _backoff.Failures, _acceptors.Any(static acceptor => acceptor.IsPaused));

    /// <summary>The next connection, or null once the listener is unbound.</summary>
    /// <exception cref="InvalidOperationException">The previous accept has not been completed and awaited.</exception>
    public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        ValueTask<ConnectionContext?> accepting = _queue.AcceptAsync(cancellationToken);
        if ((Volatile.Read(ref _start) & Wanted) == 0)
        {
            StartIfComplete(Wanted);
        }

        return accepting;
    }

    /// <summary>Nobody else accepts on the sockets any more, or is about to stop. May be called again.</summary>
    internal void Release()
    {
        _sockets.LeaveFile = false;
        StartIfComplete(Allowed);
    }

    /// <summary>
    /// Whoever else had descriptors of the sockets has closed them. Until then the kernel may have told them, and only them, of a
    /// connection (EPOLLEXCLUSIVE).
    /// </summary>
    internal void LookAgain()
    {
        foreach (ListenSocket socket in _sockets.Sockets)
        {
            socket.WakeAcceptor();
        }
    }

    /// <summary>
    /// Stops accepting: what has been accepted can still be taken, and then accepts get null. Returns when the port is free again, unless a
    /// stuck worker keeps it from that, and when Kestrel has begun with the connections that it has just been given, both for a second at
    /// most. Needs no worker itself. A token that is cancelled, which Kestrel passes when it is in a hurry, only ends the waiting for
    /// Kestrel. May be called again: waits for the first call, and hurries it. Throws nothing, since Kestrel would leave its connections
    /// alone then.
    /// </summary>
    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        using CancellationTokenRegistration hurry =
            cancellationToken.UnsafeRegister(static hurry => ((CancellationTokenSource)hurry!).Cancel(), _hurry);
        var unbound = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (Interlocked.CompareExchange(ref _unbound, unbound, null) is { } first)
        {
            await first.Task.ConfigureAwait(false);
            return;
        }

        try
        {
            await UnbindOnceAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            OnFailure(e);
        }
        finally
        {
            // Whatever has gone wrong, nobody may wait for a connection any more.
            _queue.Close();
            _onClosed(this);
            _closed.TrySetResult();
            unbound.SetResult();
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Nobody begins with a connection now, if nobody has.
        await UnbindAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        try
        {
            await _queue.EndUndeliveredAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            OnFailure(e);
        }

        foreach (Acceptor acceptor in _acceptors)
        {
            await acceptor.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Of each of its sockets that has one. Any thread.</summary>
    internal IEnumerable<NetpollAcceptQueueDepth> GetAcceptQueues()
    {
        foreach (ListenSocket socket in _sockets.Distinct)
        {
            if (socket.TryGetQueue(out int pending, out int limit))
            {
                yield return new NetpollAcceptQueueDepth(socket.LocalEndPoint, pending, limit);
            }
        }
    }

    private void StartIfComplete(int flag)
    {
        int before = Interlocked.Or(ref _start, flag);
        if (before != (Wanted | Allowed) && (before | flag) == (Wanted | Allowed))
        {
            foreach (Acceptor acceptor in _acceptors)
            {
                acceptor.Schedule();
            }
        }
    }

    private void OnFailure(Exception exception) =>
        NetpollTransportLog.UnexpectedStopException(_services.Logger, $"unbinding {EndPoint}", exception);

    private async Task UnbindOnceAsync()
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
        if (closed.IsFaulted)
        {
            OnFailure(closed.Exception.InnerException!);
        }

        _closed.TrySetResult();

        await _services.Connections.WaitForFirstReadsAsync(_hurry.Token).ConfigureAwait(false);
    }
}
