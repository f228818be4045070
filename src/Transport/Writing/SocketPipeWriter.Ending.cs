using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>What is sent before the connection ends, who waits for it, and how it is cut short.</summary>
internal sealed partial class SocketPipeWriter
{
    /// <summary>How long a peer that has sent its FIN and does not take its responses keeps the owner from hearing of the FIN.</summary>
    internal const long DefaultEndNanoseconds = 2_000 * MonotonicClock.NanosecondsPerMillisecond;

    // A close waits for no more than this to be sent by a thread that is sending already.
    private const int MaxQueuedBeforeClose = 64 * 1024;

    private readonly long _endNanoseconds;

    // The peer has finished, and the server may close at any time: nothing is held back any more.
    private bool _endIsNear;

    // The owner waits for everything to be sent, because the input has ended; or for the one who is sending, in order to close. The latter
    // is over at the latest when so many bytes have been sent.
    private bool _endAwaited;
    private bool _closeAwaited;
    private long _lastByte = long.MaxValue;

    // For the former, once.
    private TurnTimer? _endTimer;

    /// <summary>
    /// Completes, on the thread pool, when the kernel has taken everything that was flushed, or never will. A write deadline that passes
    /// meanwhile, or has passed, ends the connection. Any thread.
    /// </summary>
    internal Task DrainAsync()
    {
        SendHeld();
        Task drained;
        lock (_lock)
        {
            if (IsDrained)
            {
                return Task.CompletedTask;
            }

            _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            drained = _drained.Task;
        }

        FailIfDeadlinePassed();
        return drained;
    }

    /// <summary>Sends what is held, and sees to it that nothing is held from now on. Any thread.</summary>
    internal void StopHolding()
    {
        lock (_lock)
        {
            _endIsNear = true;
        }

        SendHeld();
    }

    /// <summary>
    /// Sends what is held, as <see cref="SendHeld"/> does, and sees to it that nothing is held from now on. False: not everything
    /// that is queued has been sent, and <see cref="ISocketPipeOwner.OnSendingStopped"/> will be called when it has, or never will be, at
    /// the latest after 2 seconds. Any thread.
    /// </summary>
    internal bool FlushBeforeEnd()
    {
        SendBatch batch;
        bool send;
        lock (_lock)
        {
            _endIsNear = true;
            if (_closed)
            {
                return true;
            }

            send = TryBeginSendingQueuedLocked(mayHold: false, out batch);
            if (IsDrained)
            {
                return true;
            }

            _endAwaited = true;
        }

        // First: others may write as fast as this thread can send.
        LimitEnd();
        if (send)
        {
            Send(batch, inDrainTurn: false);
        }

        return false;
    }

    /// <summary>
    /// The same before the connection is closed from this side. False: a thread is in the middle of sending, and finishes the close when it
    /// stops.
    /// </summary>
    /// <remarks>
    /// A close must not take long. Nothing else is waited for: not
    /// <list type="bullet">
    /// <item>what is flushed later;</item>
    /// <item>the peer, or a worker;</item>
    /// <item>a queue of more than 64 KiB;</item>
    /// <item>what the one send of a write under way leaves.</item>
    /// </list>
    /// </remarks>
    internal bool FlushBeforeClose()
    {
        SendBatch batch;
        lock (_lock)
        {
            _endIsNear = true;
            if (_closed && _state != Sending.Sending)
            {
                // What is left is for the abort to throw away: it copes with a pool that does not want its memory back.
                return true;
            }

            _lastByte = Math.Min(_lastByte, BytesSent + _buffer.QueuedBytes);
            if (_state == Sending.Yielded || _buffer.QueuedBytes > MaxQueuedBeforeClose)
            {
                return true;
            }

            if (_state == Sending.Sending)
            {
                _closeAwaited = true;
                return false;
            }

            if (!TryBeginSendingQueuedLocked(mayHold: false, out batch))
            {
                return true;
            }
        }

        Send(batch, inDrainTurn: false);
        return true;
    }

    /// <summary>
    /// Drops what is queued. A flush that waits, and every later one, says IsCompleted: it is the reads that throw
    /// <paramref name="reason"/>. The socket has to be closed, too, before or after. Any thread.
    /// </summary>
    internal void Abort(Exception reason)
    {
        AfterUnlock after = default;
        lock (_lock)
        {
            CloseLocked(ref after);
        }

        DoAfterUnlock(after, inDrainTurn: false);
    }

    // Sets the limit of the wait, unless it is over already.
    private void LimitEnd()
    {
        lock (_lock)
        {
            if (_endAwaited && _endTimer is null)
            {
                // Under the lock: whoever ends the wait disarms it.
                _endTimer = new TurnTimer(new ConnectionTurn<SocketPipeWriter>(
                    this, static writer => writer.RunEndTurn(), _socket.Group, _owner, Placement.Workers));
                _socket.Group.ScheduleAt(_endTimer, MonotonicClock.Now + _endNanoseconds);
            }
        }
    }

    // When nobody sends, nor will before the peer makes room.
    private void EndSendingLocked(ref AfterUnlock after)
    {
        bool ended = _endAwaited && (_closed || _buffer.QueuedBytes == 0);
        after.SendingStopped |= ended || _closeAwaited;
        after.MayClose |= _closeAwaited;
        _endAwaited &= !ended;
        _closeAwaited = false;
        if (ended && _endTimer is { } timer)
        {
            // It would keep the connection alive for nothing. That it goes off at this very moment does no harm.
            _socket.Group.Cancel(timer);
        }
    }

    // The peer has had its time.
    private void RunEndTurn()
    {
        lock (_lock)
        {
            if (!_endAwaited)
            {
                return;
            }

            _endAwaited = false;
        }

        _owner.OnSendingStopped(mayClose: false);
    }
}
