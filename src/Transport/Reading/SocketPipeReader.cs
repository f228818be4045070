using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>
/// The application's end of the bytes that a socket receives: receives when the application asks, into pool blocks, with no pump and
/// no second buffer. Behaves as the reader of a <see cref="Pipe"/> that a transport fills, with one difference: an end of the
/// stream is never reported together with bytes that the application has not examined.
/// </summary>
/// <remarks>
/// <para>What a read finds decides, in this order; only a read that finds nothing waits:</para>
/// <code>
///   found                              the read
///   ---------------------------------  ------------------------------------------------------------------
///   aborted, or a failed receive       throws it, now and ever after; what was buffered is lost
///   completed while it was waiting     ends with IsCompleted
///   its token was cancelled            throws, once; the reader stays usable
///   CancelPendingRead was called       ends with IsCanceled and whatever is buffered, once; if nothing is, a receive comes first
///   a deadline that has passed         throws, until the deadline is moved; the reader stays usable
///   bytes not examined yet             ends with everything that is not consumed
///   the end of the stream              ends with IsCompleted and what was examined, but not consumed
///   perhaps bytes in the kernel        a worker receives and looks again; another thread lets a worker do so
///   nothing                            waits for readability
/// </code>
/// <para>What becomes of input that arrives while no read waits for it:</para>
/// <code>
///   marked      an event found no read that waits, or a read took all that it offered room for, or no byte at all: see OnInputLeft
///   seen        some milliseconds later still no read waits; if one was answered since, it is looked at again as much later
///   read ahead  again as much later, and none was: a turn receives until the kernel is drained, or the buffer is full (paused)
///   left alone  a read waits; the peer hung up, where OnHangup does the same at once; paused, until half has been examined;
///               ended, completed
/// </code>
/// <para>An asynchronous read on a thread that is not a worker never begins anything with new bytes there: it leaves also those to a
/// worker that were read ahead, and finds itself waiting even if a worker was quicker than its await.</para>
/// <para>States of the one read there may be (<see cref="_wait"/>), all changes under the lock:</para>
/// <code>
///   None       → Parked     nothing there: the turn is parked on the socket, which will run it exactly once
///   None       → Scheduled  not on a worker: the turn is on its way to one
///   Parked     → None       the turn runs; it then finds something, or parks again (events may be spurious)
///   Scheduled  → None       the turn runs
/// </code>
/// <para>So there is one turn for one read, and only it completes a read that waits. Everybody else (cancel, abort, token) leaves a
/// flag and wakes the socket's waiter. No wake-up is lost: parking happens under the lock that the flags are written under.</para>
/// <para>Threads: as with a pipe, one at a time for reading; <see cref="CancelPendingRead"/>, <see cref="Abort"/> and
/// <see cref="OnHangup"/> from anywhere. No continuation runs inside any of the methods here, only inside the turn.</para>
/// </remarks>
internal sealed partial class SocketPipeReader : PipeReader, IReadingHalf, IValueTaskSource<ReadResult>
{
    private readonly StreamSocket _socket;
    private readonly ISocketPipeOwner _owner;
    private readonly int _maxBufferSize;
    private readonly Placement _placement;
    private readonly GroupContext? _context;
    private readonly ConnectionTurn<SocketPipeReader> _turn;

    // Guards every field below unless it says otherwise, and is held across receives, which do not wait. Taken before the locks of
    // the descriptor, and before the writer's; never held while the owner (but for its AbortReason) or a continuation runs.
    private readonly Lock _lock = new();
    private readonly ReceiveBuffer _buffer;

    private Wait _wait;
    private Lease _lease;

    // While one is out, a second one is refused.
    private OneWait<ReadResult> _read;

    private Kernel _kernel;

    // As much is buffered as is allowed, and the application has not looked at half of it: nothing is read ahead meanwhile.
    private bool _paused;
    private bool _ended;
    private bool _completed;
    private bool _cancelRequested;
    private Exception? _error;

    /// <param name="socket">The socket to receive from.</param>
    /// <param name="pool">Where blocks come from.</param>
    /// <param name="owner">Whom to tell about the end.</param>
    /// <param name="maxReadBufferSize">How many bytes that the application has not seen may be buffered; 0: no limit.</param>
    /// <param name="holdsBlock">Whether a connection that waits may hold a block.</param>
    /// <param name="placement">Where the application goes on.</param>
    /// <param name="context">The context of the socket's group, if the application runs under it.</param>
    internal SocketPipeReader(
        StreamSocket socket,
        MemoryPool<byte> pool,
        ISocketPipeOwner owner,
        int maxReadBufferSize,
        bool holdsBlock = false,
        Placement placement = Placement.Workers,
        GroupContext? context = null)
    {
        _socket = socket;
        _owner = owner;
        _maxBufferSize = maxReadBufferSize;
        _placement = placement;
        _context = context;
        _buffer = new ReceiveBuffer(pool, holdsBlock);
        _turn = new ConnectionTurn<SocketPipeReader>(
            this, static reader => reader.RunTurn(), socket.Group, owner, placement);
    }

    private enum Wait : byte
    {
        None,
        Parked,
        Scheduled,
    }

    // What the kernel has, as far as is known.
    private enum Kernel : byte
    {
        // Nobody has received yet, nor has a turn taken an edge.
        Unasked,

        // An edge has come since it was asked; or the last receive took all that it offered room for, or stopped in front of urgent data.
        MayHaveMuch,

        // The last receive took less. What it may have left behind (a Unix socket's descriptors) is little, and its end an edge.
        MayHaveLittle,

        // It had nothing more when it was last asked, and no edge has come since: receiving would be in vain.
        Drained,
    }

    // What the application holds of the buffer: nothing; a result that it must give back before it reads again; or a cancelled
    // or empty one that it may give back.
    private enum Lease : byte
    {
        None,
        Tentative,
        Held,
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<ReadResult>(cancellationToken);
        }

        // The application goes on where the bytes are received, and it may block: that must be a worker, whoever asks, unless the
        // application is to run on the thread pool.
        bool mayReceive = RunsOnThreadPool || _socket.Group.IsWorkerThread;
        Found found;
        AfterUnlock after = default;
        short version = 0;
        lock (_lock)
        {
            ThrowIfReadingIsNotAllowedLocked();
            _readBegun = true;
            found = LookOrWaitLocked(mayReceive, ref after);
            if (found.IsNothing)
            {
                // The turn may have been woken already, but needs the lock to go on.
                _read.BeginLocked(cancellationToken);
                version = _read.Version;
            }
        }

        DoAfterUnlock(after);
        if (!found.IsNothing)
        {
            if (found.Error is { } error)
            {
                // Here and not through the task, as a pipe does it: Kestrel's request bodies tell the two apart.
                ExceptionDispatchInfo.Throw(error);
            }

            return new ValueTask<ReadResult>(found.Result);
        }

        _read.RegisterToken(
            _lock, this, static (reader, token) => ((SocketPipeReader)reader!).OnTokenCanceled(token), cancellationToken);

        if (_placement == Placement.Learned)
        {
            LearnPlace();
        }

        // The peer may be waiting for this before it sends more. The turn's end, which would send it, is far if the application blocks.
        _writer?.OnReadWaits();
        return new ValueTask<ReadResult>(this, version);
    }

    public override bool TryRead(out ReadResult result)
    {
        Found found;
        AfterUnlock after = default;
        lock (_lock)
        {
            ThrowIfReadingIsNotAllowedLocked();
            _readBegun = true;
            if (_cancelRequested && CancelFindsNothing)
            {
                ReceiveLocked(ref after);
            }

            found = LookLocked();
            if (found.IsNothing)
            {
                // Also when the kernel was drained: whoever only polls has no other way to learn of new bytes.
                ReceiveLocked(ref after);
                found = LookLocked();
            }

            if (found.IsNothing)
            {
                _lease = Lease.Tentative;
            }
            else
            {
                after.InputLeft = LeavesInput;
            }
        }

        DoAfterUnlock(after);
        if (found.IsNothing)
        {
            _writer?.OnReadWaits();
        }

        if (found.Error is { } error)
        {
            ExceptionDispatchInfo.Throw(error);
        }

        result = found.Result;
        return !found.IsNothing;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        bool resumed = false;
        lock (_lock)
        {
            if (_completed)
            {
                throw new InvalidOperationException("Reading is not allowed after the reader was completed.");
            }

            if (_lease == Lease.None)
            {
                throw new InvalidOperationException("There is no read result to advance.");
            }

            _buffer.AdvanceTo(consumed, examined);
            _lease = Lease.None;
            if (_error is not null)
            {
                _buffer.Clear();
            }

            if (_paused && _buffer.UnexaminedBytes < Math.Max(_maxBufferSize / 2, 1))
            {
                _paused = false;
                resumed = true;
            }
        }

        if (resumed)
        {
            NetpollTransportLog.ConnectionResume(_owner.Logger, _owner.ConnectionId);

            // Nothing was read ahead meanwhile, whatever has come.
            _socket.OnInputLeft();
        }
    }

    public override void CancelPendingRead()
    {
        bool wake;
        lock (_lock)
        {
            // After the completion there is no next read, but one may still wait; as with a pipe, this ends it.
            _cancelRequested |= !_completed;
            wake = _wait == Wait.Parked;
        }

        if (wake)
        {
            _socket.WakeReader();
        }
    }

    /// <summary>Has the application begun to read? Any thread.</summary>
    internal bool HasBegun => _readBegun;

    /// <summary>
    /// Were there bytes that the application did not consume when it completed the reader, or when the connection ended? The peer has then
    /// probably more on its way.
    /// </summary>
    internal bool HadUnreadInput { get; private set; }

    /// <summary>
    /// Gives every block back. A read that waits meanwhile, against the rules of pipes, ends with the input, or when it is
    /// cancelled, or with the connection. That the peer ends the connection is noticed also afterwards.
    /// </summary>
    public override void Complete(Exception? exception = null)
    {
        bool endIsNear;
        lock (_lock)
        {
            endIsNear = !_completed && _socket.HangupSeen;
            HadUnreadInput |= _buffer.UnconsumedBytes > 0;
            _completed = true;
            _lease = Lease.None;
            _buffer.Clear();
        }

        if (endIsNear)
        {
            // Reading ahead may have stopped at the limit.
            ScheduleReadAhead();
        }
    }

    /// <summary>
    /// A read that still waits, although the reader was completed, ends: its place in front of the socket is needed. Any thread, after
    /// <see cref="Complete"/>.
    /// </summary>
    internal void EndWaitingRead()
    {
        bool wake;
        lock (_lock)
        {
            wake = _wait == Wait.Parked;
        }

        if (wake)
        {
            _socket.WakeReader();
        }
    }

    /// <summary>The read that waits, or the next one, throws <paramref name="reason"/>. The first reason or error stays. Any
    /// thread.</summary>
    internal void Abort(Exception reason)
    {
        bool wake;
        lock (_lock)
        {
            FailLocked(reason);
            wake = _wait == Wait.Parked;
        }

        if (wake)
        {
            _socket.WakeReader();
        }
    }

    private void ThrowIfReadingIsNotAllowedLocked()
    {
        if (_completed)
        {
            throw new InvalidOperationException("Reading is not allowed after the reader was completed.");
        }

        if (_read.IsOut || _lease == Lease.Held)
        {
            throw new InvalidOperationException(
                "Reading is already in progress: a read is waiting, or its result was not given back with AdvanceTo.");
        }
    }

    // An error outlives everything else and drops what is buffered, but not under the application's feet.
    private void FailLocked(Exception error)
    {
        _error ??= error;
        EndTurnTimerLocked();
        HadUnreadInput |= _buffer.UnconsumedBytes > 0;
        if (_lease == Lease.None)
        {
            _buffer.Clear();
        }
    }
}
