using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Pipes;
using KestrelNetpoll.Transport.Reading;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>
/// The application's end of the bytes that a socket sends: sends on the flushing thread, queues what the kernel does not take, and lets
/// a worker send that when the socket becomes writable. Behaves as the writer of a <see cref="Pipe"/> that a transport empties.
/// </summary>
/// <remarks>
/// <para>Sending: at most one thread sends at a time, and the bytes leave in the order they were committed.</para>
/// <code>
///   state      queued bytes   leaves it by
///   --------   ------------   -------------------------------------------------------------------------
///   idle       none           a flush: sending; or held, see SocketPipeWriter.Holding
///   held       some           the read that waits, the end of the turn, others: sending
///   sending    some           all sent: idle; EAGAIN: parked; a failure: closed
///   parked     some           writable, or the drain turn's next share: sending, in the drain turn; the socket was closed: closed
///   closed     none           never. What is written is dropped and flushes say IsCompleted; also by <see cref="Abort"/>
/// </code>
/// <para>The one flush that may wait, because more is queued than the limit (<see cref="_flush"/>):</para>
/// <code>
///   None       → Waiting      by the flush
///   Waiting    → Signalled    less than half the limit is queued, closed, cancelled, token cancelled: by whoever causes it,
///                             who then completes it, if that is the drain turn, or schedules the flush turn, which does
///   Signalled  → None         completed
/// </code>
/// <para>Threads: as with a pipe, one at a time for writing; <see cref="CancelPendingFlush"/>, <see cref="Abort"/>,
/// <see cref="SendHeld"/> and <see cref="DrainAsync"/> from anywhere. No continuation runs inside any of the methods here, only
/// inside the turns.</para>
/// </remarks>
internal sealed partial class SocketPipeWriter : PipeWriter, IValueTaskSource<FlushResult>
{
    private readonly StreamSocket _socket;
    private readonly ISocketPipeOwner _owner;
    private readonly SocketPipeReader _reader;
    private readonly bool _onThreadPool;
    private readonly GroupContext? _context;
    private readonly long _pauseThreshold;
    private readonly long _resumeThreshold;

    // Guards every field below unless it says otherwise. Not held during sends. Taken before the locks of the descriptor; never held
    // while the owner (but for its AbortReason) or a continuation runs.
    private readonly Lock _lock = new();
    private readonly SendBuffer _buffer;

    // Written under the lock, read also without it.
    private volatile Flush _flush;

    // Set while a flush is out whose result has not been fetched. Cleared without the lock by the one awaiter.
    private volatile bool _awaited;
    private bool _completed;

    // Written under the lock; a flush that has just sent everything reads them without it, to answer without taking it again.
    private volatile bool _closed;
    private volatile bool _cancelRequested;

    private bool _tokenCanceled;
    private CancellationToken _token;
    private CancellationTokenRegistration _tokenRegistration;
    private TurnValueTaskSource<FlushResult> _source;

    /// <param name="socket">The socket to send to.</param>
    /// <param name="pool">Where blocks come from.</param>
    /// <param name="owner">Whom to tell about failures.</param>
    /// <param name="maxWriteBufferSize">How many flushed bytes may wait before a flush does; 0: no limit.</param>
    /// <param name="reader">The other half: it says when the application has the floor.</param>
    /// <param name="onThreadPool">Whether the application goes on on the thread pool.</param>
    /// <param name="context">The context of the socket's group, if the application runs under it.</param>
    /// <param name="endNanoseconds">How long <see cref="FlushBeforeEnd"/> has the owner wait for a peer that takes nothing.</param>
    internal SocketPipeWriter(
        StreamSocket socket,
        MemoryPool<byte> pool,
        ISocketPipeOwner owner,
        int maxWriteBufferSize,
        SocketPipeReader reader,
        bool onThreadPool = false,
        GroupContext? context = null,
        long endNanoseconds = DefaultEndNanoseconds)
    {
        _socket = socket;
        _onThreadPool = onThreadPool;
        _context = context;
        _endNanoseconds = endNanoseconds;
        _owner = owner;
        _reader = reader;
        _pauseThreshold = maxWriteBufferSize == 0 ? long.MaxValue : maxWriteBufferSize;

        // "Less than half" must stay possible for the smallest limit.
        _resumeThreshold = Math.Max(_pauseThreshold / 2, 1);
        _buffer = new SendBuffer(pool);
        reader.AttachWriter(this);
    }

    private enum Flush : byte
    {
        None,
        Waiting,
        Signalled,
    }

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _buffer.UncommittedBytes;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        lock (_lock)
        {
            ThrowIfCompleted();
            return _buffer.GetMemory(sizeHint);
        }
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        lock (_lock)
        {
            // Nobody will ever send them: the application may use the same memory again.
            _buffer.Advance(bytes, drop: _closed);
        }
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<FlushResult>(cancellationToken);
        }

        FailIfDeadlinePassed();
        SendBatch batch;
        bool send;
        lock (_lock)
        {
            send = TryBeginSending(mayHold: true, out batch);
        }

        if (send)
        {
            Send(batch, inDrainTurn: false);
        }
        else
        {
            OnHeld();
        }

        return FinishFlush(hasSent: send, cancellationToken);
    }

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<FlushResult>(cancellationToken);
        }

        // Looked at first: memory that has been disposed of throws here, and not in the middle.
        ReadOnlySpan<byte> bytes = source.Span;
        FailIfDeadlinePassed();
        SendBatch batch = default;
        bool sendBatch = false;
        bool sendSource = false;
        lock (_lock)
        {
            ThrowIfCompleted();
            if (TryBeginSendingDirectly(bytes.Length))
            {
                sendSource = true;
            }
            else
            {
                if (!_closed)
                {
                    _buffer.Write(bytes);
                }

                sendBatch = TryBeginSending(mayHold: true, out batch);
            }
        }

        if (sendSource)
        {
            SendDirectly(bytes);
        }
        else if (sendBatch)
        {
            Send(batch, inDrainTurn: false);
        }
        else
        {
            OnHeld();
        }

        return FinishFlush(hasSent: sendSource || sendBatch, cancellationToken);
    }

    public override void CancelPendingFlush()
    {
        bool signal;
        lock (_lock)
        {
            _cancelRequested = true;
            signal = TrySignalFlush();
        }

        ScheduleFlushTurn(signal);
    }

    /// <summary>
    /// Sends what was written. A flush that waits, and everything queued, goes on as before; unless there was an error: the peer is to learn that this is
    /// not all, and the owner ends the connection.
    /// </summary>
    public override void Complete(Exception? exception = null)
    {
        SendBatch batch;
        Effects effects = default;
        bool send;
        lock (_lock)
        {
            if (_completed)
            {
                return;
            }

            _completed = true;
            _endReported |= exception is not null;
            send = TryBeginSending(mayHold: false, out batch);
            Settle(ref effects);
        }

        try
        {
            Raise(effects, inDrainTurn: false);
            if (send)
            {
                Send(batch, inDrainTurn: false);
            }
        }
        finally
        {
            if (exception is not null)
            {
                _owner.OnOutputBroken(exception);
            }
        }
    }

    private void ThrowIfCompleted()
    {
        if (_completed)
        {
            throw new InvalidOperationException("Writing is not allowed after the writer was completed.");
        }
    }
}
