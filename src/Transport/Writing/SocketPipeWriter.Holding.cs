using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>
/// When flushed bytes leave. A flush is a promise that they leave when the code that flushes lets go of its thread, and not at the very
/// call: a send is the dearest system call there is, and frameworks flush a response in two pieces and more.
/// </summary>
/// <remarks>
/// <code>
///   a flush on                      is held                                   and sent by whatever comes first
///   -----------------------------   ---------------------------------------   -----------------------------------------------------
///   a worker, inside a turn (also   always, while the monitor watches the     the read that finds nothing; the end of the turn;
///   one of another connection)      turn, for at most 64 connections          whoever gets the processor, if the turn blocks; another
///                                                                             worker, within 1 ms, if it computes
///   another thread, while the       if the meter says that a second one is    the read that finds nothing; a worker or the thread pool,
///   application has the floor       near, and it does not stream              0.25 ms later, at the monitor's next look
///   another thread, while a read    the same                                  a work item at the end of the thread pool's queue (the
///   waits (HTTP/2, web sockets)                                               responses of other streams come before it); the monitor
///   the thread pool, the response   if others wait for the thread pool        the same, since the next piece comes from there as well;
///   being larger than 32 KiB                                                  the read that finds nothing
/// </code>
/// And in each case: as soon as 64 KiB are queued; on <see cref="Complete"/>, <see cref="DrainAsync"/>, and before the connection ends.
/// Nothing is held once the peer has finished.
/// <para>The application has the floor from the moment a read has handed bytes over until it asks for more and there is none. If the
/// monitor had to send something meanwhile, the response is a stream: nothing more of it is held.</para>
/// </remarks>
internal sealed partial class SocketPipeWriter
{
    /// <summary>More than this is sent at once: the kernel could be transmitting it.</summary>
    internal const int MaxHeldBytes = 64 * 1024;

    // What is larger than this and could be sent from the caller's memory is not copied in order to be held.
    private const int MaxHeldCopy = 4 * 1024;

    // From when on the monitor sends what code outside of turns has not. A response that is not a stream has been sent by a read long
    // before.
    private const long FloorNanoseconds = 250_000;

    // The thread pool's queue may be long; that is what gathers the responses of an HTTP/2 connection.
    private const long BurstNanoseconds = 700_000;

    // A response that is longer than this comes in many pieces, one as fast as the other.
    private const long LongResponse = 32 * 1024;
    private const long LongResponseNanoseconds = 5 * MonotonicClock.NanosecondsPerMillisecond;

    // For the flusher: what is held is to be left to the thread pool, as soon as the lock is released.
    private bool _leavesToThreadPool;

    // For the flusher: others wait for the thread pool that it runs on, and the response is long.
    private bool _takesTurns;

    // When the monitor is to send what is held outside of turns; 0: nothing. Written under the lock, read by the monitor.
    private long _heldUntil;

    // Written by the reader's thread, and by who sends what was held for too long: late, perhaps, which costs a send. Read under the lock.
    private volatile Floor _floor;

    // What had been sent when the application last got the floor, or others had to send for it. Written and read as the floor is.
    private long _responseBegin;

    // Created when first needed. One for each of the two lists, because the thread may leave the one place while it is listed there.
    private HeldInTurn? _heldInTurn;
    private HeldOutside? _heldOutside;
    private GatherMeter _meter;

    private enum Floor : byte
    {
        // A read waits; or nothing has been read yet.
        None,

        // A read has handed bytes over, and none has found nothing since.
        Application,

        // The same, and something that was flushed meanwhile had to be sent by others: it streams.
        Stream,
    }

    /// <summary>Does the meter decide about flushes outside of turns? If not, they are sent at once.</summary>
    internal bool GathersFlushes { get; init; } = true;

    /// <summary>Is a flush held? Any thread; may be a moment old.</summary>
    internal bool HoldsOutput => _state == Sending.Held;

    /// <summary>A read hands new bytes to the application.</summary>
    internal void OnInputHandedOver()
    {
        _floor = Floor.Application;
        _responseBegin = BytesSent;
        _shareBegin = BytesSent;
        ForgetVainYields();
    }

    /// <summary>A read has found nothing: what the peer waits for leaves now.</summary>
    internal void OnReadWaits()
    {
        _floor = Floor.None;
        _shareBegin = BytesSent;
        SendHeld();
    }

    /// <summary>Sends what is held. Cheap if there is nothing. Any thread.</summary>
    internal void SendHeld()
    {
        if (_state != Sending.Held)
        {
            return;
        }

        SendBatch batch;
        bool send;
        lock (_lock)
        {
            send = TryBeginSendingQueuedLocked(mayHold: false, out batch);
        }

        if (send)
        {
            Send(batch, inDrainTurn: false);
        }
    }

    /// <summary>At the end of a turn of this connection: a worker sends what its turns hold, the thread pool knows of none.</summary>
    internal void EndTurnOutsideOfWorkers()
    {
        if (_state == Sending.Held && _socket.Group.CurrentWorker is null)
        {
            SendHeld();
        }
    }

    // For each flush that may be held. True: somebody of the table sends it. False: the caller does, and ends the holding.
    private bool TryHoldLocked()
    {
        if (!MayHold(_buffer.QueuedBytes))
        {
            return false;
        }

        // First: as soon as it is listed, others may look.
        _state = Sending.Held;
        return _socket.Group.CurrentWorker is { } worker ? TryHoldInTurnLocked(worker) : TryHoldOutsideLocked();
    }

    // Without the lock, after a flush that has sent nothing: what is held may need somebody to be woken.
    private void OnHeld()
    {
        if (_state != Sending.Held)
        {
            return;
        }

        _socket.Group.Monitor?.OnHeld();
        if (_leavesToThreadPool)
        {
            _leavesToThreadPool = false;
            _heldOutside!.LeaveToThreadPool();
        }
    }

    // By the flusher, before it takes the lock: the answer is a sum over all threads of the pool.
    private void LookAtThreadPool() => _takesTurns = BytesSent - _responseBegin > LongResponse
        && _context is null
        && _socket.Group.CurrentWorker is null
        && KeepsThreadPoolWaiting;

    private bool MayHold(long bytes) => bytes < MaxHeldBytes && bytes < _pauseThreshold && !_endIsNear;

    private bool TryHoldInTurnLocked(Worker worker)
    {
        HeldInTurn output = _heldInTurn ??= new HeldInTurn(this);
        if (!output.TryList())
        {
            // In the list of this very worker, or taken from it by somebody who is about to send. Other turns must not wait for that one's
            // end.
            return ReferenceEquals(output.Worker, worker);
        }

        output.Worker = worker;
        return worker.TryHold(output);
    }

    private bool TryHoldOutsideLocked()
    {
        long now = MonotonicClock.Now;
        Floor floor = _floor;
        bool gathers = GathersFlushes && _meter.OnFlush(now) && floor != Floor.Stream;
        bool takesTurns = _takesTurns;
        if (!gathers && !takesTurns)
        {
            return false;
        }

        HeldOutside output = _heldOutside ??= new HeldOutside(this);
        bool leaves = takesTurns || floor == Floor.None;
        if (_heldUntil == 0)
        {
            // Before it is listed, with a full fence.
            Volatile.Write(
                ref _heldUntil, now + (takesTurns ? LongResponseNanoseconds : leaves ? BurstNanoseconds : FloorNanoseconds));
        }

        if (!_socket.Group.TryHoldUntil(output))
        {
            // Whoever empties the list finds nothing.
            Volatile.Write(ref _heldUntil, 0);
            return false;
        }

        _meter.OnHeld();
        _leavesToThreadPool |= leaves;
        return true;
    }

    // What is held is about to be sent, by a flush or by somebody else.
    private void EndHoldingLocked(bool byFlush)
    {
        if (_state == Sending.Held)
        {
            _state = Sending.Idle;
        }

        if (_heldUntil != 0)
        {
            Volatile.Write(ref _heldUntil, 0);
            _meter.OnSending(byFlush);
        }
    }

    // Listed at a worker.
    private sealed class HeldInTurn(SocketPipeWriter writer) : HeldOutput
    {
        // Guarded by the writer's lock.
        internal Worker? Worker { get; set; }

        internal override object Subject => writer._owner;

        internal override void Run() => writer.SendHeld();

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }

    // Listed at the group, and left to the thread pool.
    private sealed class HeldOutside(SocketPipeWriter writer) : HeldOutput
    {
        // 1 while it is in the thread pool's queue, as far as it knows: more than once does no harm. Interlocked.
        private int _isLeft;

        internal override object Subject => writer._owner;

        internal override long DueAt => Volatile.Read(ref writer._heldUntil);

        internal void LeaveToThreadPool()
        {
            if (Interlocked.Exchange(ref _isLeft, 1) == 0)
            {
                ThreadPoolQueue.Add(this);
            }
        }

        internal override void Run()
        {
            // Before the send: what is held from now on is left to the pool again.
            Interlocked.Exchange(ref _isLeft, 0);

            if (DueAt is not 0 and long due && due <= MonotonicClock.Now)
            {
                writer._floor = writer._floor == Floor.Application ? Floor.Stream : writer._floor;

                // Nor is it long, until as much again has been sent.
                writer._responseBegin = writer.BytesSent;
            }

            writer.SendHeld();
        }

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }
}
