using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>
/// The application's end of the bytes that a socket sends: sends on the flushing thread, queues what the kernel does not take, and lets
/// a worker send that when the socket becomes writable. Behaves as the writer of a <see cref="Pipe"/> that a transport empties.
/// </summary>
/// <remarks>
/// <para>Sending: at most one thread sends at a time, and the bytes leave in the order they were committed. Who has what is queued
/// (<see cref="_state"/>), all changes under the lock:</para>
/// <code>
///   state      queued bytes   leaves it by
///   --------   ------------   -------------------------------------------------------------------------
///   Idle       none           a flush: Sending; or Held, see SocketPipeWriter.Holding
///   Held       some           the read that waits, the end of the turn, others: Sending
///   Sending    some           all sent: Idle; EAGAIN: Parked; the drain turn's share sent: Yielded; a failure: Idle, and closed
///   Parked     some           the socket is writable, or was closed: the drain turn, which is Sending as long as there is something
///   Yielded    some           the drain turn comes again: the same
/// </code>
/// <para>Beside that it may be closed (<see cref="_closed"/>), for good: by a failed send, or by <see cref="Abort"/>. What is written is
/// then dropped, and flushes say IsCompleted. Nothing is Held any more. A thread that is sending leaves the blocks alone when it comes
/// back, and a drain turn that waits is released by the close of the socket.</para>
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
    private readonly IReadingHalf _reader;
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

    private OneWait<FlushResult> _wait;
    private Completion _completion;

    // Written under the lock; a flush that has just sent everything reads them without it, to answer without taking it again.
    private volatile bool _closed;
    private volatile bool _cancelRequested;

    /// <param name="socket">The socket to send to.</param>
    /// <param name="pool">Where blocks come from.</param>
    /// <param name="owner">Whom to tell about failures.</param>
    /// <param name="maxWriteBufferSize">How many flushed bytes may wait before a flush does; 0: no limit.</param>
    /// <param name="reader">The other half: it says when the application has the floor.</param>
    /// <param name="onThreadPool">Whether the application goes on on the thread pool when a flush has waited.</param>
    /// <param name="context">The context of the socket's group, if the application runs under it.</param>
    /// <param name="endNanoseconds">How long <see cref="FlushBeforeEnd"/> has the owner wait for a peer that takes nothing.</param>
    internal SocketPipeWriter(
        StreamSocket socket,
        MemoryPool<byte> pool,
        ISocketPipeOwner owner,
        int maxWriteBufferSize,
        IReadingHalf reader,
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
    }

    private enum Sending : byte
    {
        Idle,
        Held,
        Sending,
        Parked,
        Yielded,
    }

    // Of the writer, by the application. The owner is told once everything has been sent, unless it knows of an error.
    private enum Completion : byte
    {
        None,
        Completed,
        Told,
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
            ThrowIfCompletedLocked();
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
        LookAtThreadPool();
        SendBatch batch;
        bool send;
        lock (_lock)
        {
            send = TryBeginSendingLocked(mayHold: true, out batch);
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
        LookAtThreadPool();
        SendBatch batch = default;
        bool sendBatch = false;
        bool sendSource = false;
        lock (_lock)
        {
            ThrowIfCompletedLocked();
            if (TryBeginSendingDirectlyLocked(bytes.Length))
            {
                sendSource = true;
            }
            else
            {
                if (!_closed)
                {
                    _buffer.Write(bytes);
                }

                sendBatch = TryBeginSendingLocked(mayHold: true, out batch);
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
            signal = TrySignalFlushLocked();
        }

        ScheduleFlushTurn(signal);
    }

    /// <summary>
    /// Sends what was written. A flush that waits, and everything queued, goes on as before; unless there was an error: the peer is to
    /// learn that this is not all, and the owner ends the connection.
    /// </summary>
    public override void Complete(Exception? exception = null)
    {
        SendBatch batch;
        AfterUnlock after = default;
        bool send;
        lock (_lock)
        {
            if (_completion != Completion.None)
            {
                return;
            }

            _completion = exception is null ? Completion.Completed : Completion.Told;
            send = TryBeginSendingLocked(mayHold: false, out batch);
            SettleLocked(ref after);
        }

        try
        {
            DoAfterUnlock(after, inDrainTurn: false);
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

    private void ThrowIfCompletedLocked()
    {
        if (_completion != Completion.None)
        {
            throw new InvalidOperationException("Writing is not allowed after the writer was completed.");
        }
    }
}
