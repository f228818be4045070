using System.Diagnostics.CodeAnalysis;
using System.Net;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Pipes;
using KestrelNetpoll.Transport.Reading;
using KestrelNetpoll.Transport.Writing;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// One accepted connection as Kestrel sees it. The pipes work directly on the socket; this class decides how and when the
/// connection ends. Any thread may end it, several may try at once, and the first one decides:
/// <code>
///   who ends it                     the peer sees   a read afterwards            log
///   DisposeAsync, all sent          FIN             reader is completed           7
///   Abort(null)                     FIN             throws, or the end if a FIN   7
///                                                   from the peer had been read
///   output completed, all sent      FIN             the same                      7
///   Abort(reason), a failed send,   RST             throws the reason             8
///   output completed with an error
///   the same with FinOnError        FIN             throws the reason             7
/// </code>
/// </summary>
internal sealed partial class NetpollConnection : TrackedConnection, ISocketPipeOwner, ITurnSubject, IThreadPoolWorkItem
{
    // In _closeReason: ended by DisposeAsync. It has no meaning as an exception and is never thrown.
    private static readonly Exception EndedByDispose = new ConnectionAbortedException("The connection was disposed.");

    private readonly ConnectionServices _services;
    private readonly StreamSocket _socket;
    private readonly SocketPipeReader _reader;
    private readonly SocketPipeWriter _writer;
    private readonly CancellationTokenSource _connectionClosedSource = new();

    private OneShotSignal _closedCallbacksRan;
    private OneShotSignal _disposed;

    // Why this side closed the socket; null while it has not. Set once, by CAS, before the descriptor is closed, so that a
    // system call that fails because of the close finds the reason.
    private Exception? _closeReason;

    // Written by the reader's turn when the peer's FIN has been read; an Abort(null) then leaves the buffered bytes readable.
    private volatile bool _inputEndedCleanly;

    // 0 until somebody has queued the callbacks of ConnectionClosed, or runs them, then 1.
    private int _connectionClosedFired;

    // 0 until the first DisposeAsync, then 1.
    private int _disposeStarted;

    internal NetpollConnection(ConnectionServices services, StreamSocket socket, EndPoint? localEndPoint)
    {
        _services = services;
        _socket = socket;
        MemoryPool = services.Pools[socket.Group.Id];
        GroupContext? groupContext = services.GroupContexts?[socket.Group.Id];
        _reader = new SocketPipeReader(
            socket, MemoryPool, this, services.MaxReadBufferSize, services.HoldsBlock, services.Placement, groupContext);
        _writer = new SocketPipeWriter(
            socket, MemoryPool, this, services.MaxWriteBufferSize, _reader, services.Placement == Placement.ThreadPool, groupContext)
        {
            GathersFlushes = services.GathersFlushes,
        };
        _reader.AttachWriter(_writer);
        Transport = new DuplexPipe(_reader, _writer);
        ConnectionClosed = _connectionClosedSource.Token;
        LocalEndPoint = localEndPoint;
        InitializeFeatures(groupContext);
        BeginWatch();
    }

    public override ILogger Logger => _services.Logger;

    public Exception? AbortReason
    {
        get
        {
            Exception? reason = Volatile.Read(ref _closeReason);
            return ReferenceEquals(reason, EndedByDispose) ? null : reason;
        }
    }

    public bool PrefersThreadPool => _reader.PrefersThreadPool;

    internal override bool HasBegun => _reader.HasBegun || IsClosed || Volatile.Read(ref _disposeStarted) != 0;

    internal override bool IsClosed => Volatile.Read(ref _closeReason) is not null;

    internal override long BytesReceived => _reader.BytesReceived;

    internal override long BytesSent => _writer.BytesSent;

    /// <summary>Registers the socket with the poller. To be called once, before Kestrel gets the connection.</summary>
    internal void Start()
    {
        _socket.SetHangupTurn(new InputTurn(this));
        _socket.Start();
        _services.Connections.Add(this);
        try
        {
            if (_watch is not null)
            {
                _services.Sweep.OnConnectionAdded();
            }
        }
        catch
        {
            // Nobody is going to close it in Kestrel's name, and a stop would wait for that.
            _services.Connections.Remove(this);
            throw;
        }
    }

    /// <summary>
    /// Ends the connection now. Kestrel calls it under its own lock and from any thread: nothing here blocks or runs
    /// anybody's continuation. Null means a graceful end and is what Kestrel passes when the peer has gone.
    /// </summary>
    public override void Abort(ConnectionAbortedException? abortReason)
    {
        if (abortReason is null)
        {
            Close(new ConnectionAbortedException("The server closed the connection gracefully."), Ending.Graceful);
        }
        else
        {
            Close(abortReason, Ending.Broken);
        }
    }

    /// <summary>
    /// Sends everything that was flushed, then ends the connection, and returns when the callbacks of
    /// <see cref="ConnectionClosed"/> have run. Later calls wait for the first.
    /// </summary>
    [SuppressMessage("Usage", "CA2215", Justification = "The base class has nothing to dispose of.")]
    public override ValueTask DisposeAsync() =>
        Interlocked.Exchange(ref _disposeStarted, 1) == 0 ? DisposeOnceAsync() : new ValueTask(_disposed.WaitAsync());

    private async ValueTask DisposeOnceAsync()
    {
        try
        {
            CompletePipes();

            // Takes as long as the peer does; Kestrel's data rate limits, or the server's stop, cut it with Abort.
            await _writer.DrainAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            OnUnexpectedException(e);
        }

        try
        {
            await CloseAndNotifyAsync().ConfigureAwait(false);
        }
        finally
        {
            _writer.EndDeadline();
            _services.AcceptPolicy?.OnEnded(_socket.Network);
            if (_watch is not null)
            {
                _services.Sweep.OnConnectionRemoved();
            }

            _services.Connections.Remove(this);
            _disposed.Set();
        }
    }

    // The ones made here, whatever middleware has put into Transport since. The application rarely completes them.
    private void CompletePipes()
    {
        try
        {
            _reader.Complete();
        }
        finally
        {
            _reader.EndWaitingRead();
            _writer.Complete();
        }
    }

    private async ValueTask CloseAndNotifyAsync()
    {
        if (Interlocked.CompareExchange(ref _closeReason, EndedByDispose, null) is null)
        {
            NetpollTransportLog.ConnectionWriteFin(Logger, ConnectionId, "Everything has been sent.");
            CloseWithFin(keepInput: _inputEndedCleanly, Linger.IfDangerous);
            ReleaseExposedSocket(reset: false);
        }

        FinishClose();

        // Here, if nobody has done so: Kestrel holds no lock and has nothing else to do for this connection, and two hops less are a good
        // part of what a short connection costs. But only where the monitor notices a callback that blocks, as it does with a handler.
        if (!_socket.Group.IsTurnWatched)
        {
            FireConnectionClosed();
        }
        else if (TryClaimConnectionClosed())
        {
            RunClosedCallbacks();
        }

        await _closedCallbacksRan.WaitAsync().ConfigureAwait(false);
        _connectionClosedSource.Dispose();
    }

    /// <summary>The peer's FIN (no error) or a failure has been seen by the reader, which can deliver it already.</summary>
    public void OnInputEnded(Exception? error)
    {
        bool closedHere = Volatile.Read(ref _closeReason) is not null;
        if (error is null)
        {
            _inputEndedCleanly = true;

            if (!closedHere)
            {
                NoteEnd(ConnectionEnd.PeerFinished);
                NetpollTransportLog.ConnectionReadFin(Logger, ConnectionId);
            }

            // The server closes when it hears of the end; the peer, which has only finished sending, waits for its responses.
            if (!_writer.FlushBeforeEnd())
            {
                return;
            }
        }
        else
        {
            if (!closedHere)
            {
                // An error after the own close is that close, and its reason has been logged.
                NoteEnd(error);
                LogSocketError(error);
            }

            // The application is about to answer somebody who has gone, and should learn that from the flush, not from a later read.
            _writer.StopHolding();
        }

        FireConnectionClosed();
    }

    /// <summary>
    /// The application completed its output, and everything has been sent: that ends the connection, as on the Sockets transport, and not
    /// only this direction of it. A read that waits for a peer which waits for the end would wait for ever.
    /// </summary>
    public void OnOutputEnded()
    {
        if (Volatile.Read(ref _disposeStarted) == 0)
        {
            Close(new ConnectionAbortedException("The application completed its output."), Ending.OutputCompleted);
        }
    }

    /// <summary>The peer must not take what it has for all there is: as from the Sockets transport, it gets a RST.</summary>
    public void OnOutputBroken(Exception error)
    {
        if (Volatile.Read(ref _closeReason) is null)
        {
            NetpollTransportLog.ConnectionError(Logger, ConnectionId, error);
        }

        Close(error, Ending.Broken);
    }

    /// <summary>A send failed: the peer is gone for both directions.</summary>
    public void OnOutputFailed(Exception error)
    {
        // The kernel reports a reset once. If a send has met it, a receive has seen what looks like a FIN, and the connection may have been
        // closed for that before this thread came back to say what it was.
        if (Volatile.Read(ref _closeReason) is null || (_inputEndedCleanly && error is ConnectionResetException))
        {
            NoteEnd(error);
            LogSocketError(error);
        }

        Close(error, Ending.Broken);
    }

    /// <summary>Something threw that must not throw. The connection pays for it, the worker and the others do not.</summary>
    public void OnUnexpectedException(Exception exception)
    {
        Close(new ConnectionAbortedException("The transport failed unexpectedly.", exception), Ending.Broken);
        NetpollTransportLog.UnexpectedException(Logger, ConnectionId, exception);
    }

    void IThreadPoolWorkItem.Execute() => RunClosedCallbacks();

    private void RunClosedCallbacks()
    {
        try
        {
            _connectionClosedSource.Cancel();
        }
        catch (Exception e)
        {
            NetpollTransportLog.ConnectionClosedCallbackFailed(Logger, ConnectionId, e);
        }
        finally
        {
            _closedCallbacksRan.Set();
        }
    }

    // True: the caller, and nobody else, runs the callbacks, or lets them run.
    private bool TryClaimConnectionClosed() => Interlocked.Exchange(ref _connectionClosedFired, 1) == 0;

    // On the thread pool: what is registered on ConnectionClosed takes Kestrel's locks, calls Abort and may be user code.
    private void FireConnectionClosed()
    {
        if (TryClaimConnectionClosed())
        {
            ThreadPoolQueue.Add(this);
        }
    }

    private void LogSocketError(Exception error)
    {
        if (error is ConnectionResetException)
        {
            NetpollTransportLog.ConnectionReset(Logger, ConnectionId);
        }
        else
        {
            NetpollTransportLog.ConnectionError(Logger, ConnectionId, error);
        }
    }

    /// <summary>Lets the reader look at a hang-up, and at input that nobody reads, even while it is not waiting.</summary>
    private sealed class InputTurn(NetpollConnection connection) : UnreadInput
    {
        internal override object Subject => connection;

        internal override void Run() => connection._reader.OnHangup();

        internal override bool LookAgain() => connection._reader.LookAtUnread();

        internal override void OnUnhandledException(Exception e) => connection.OnUnexpectedException(e);
    }
}
