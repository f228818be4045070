using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>Who sends, when, and what follows from it.</summary>
internal sealed partial class SocketPipeWriter
{
    // A peer that takes everything must let the other turns of the worker run from time to time.
    private const int MaxSendsPerDrainTurn = 32;

    // Created when first needed: a connection whose peer keeps up never waits. They are two, because a wait for writability and the
    // delivery of a flush result can be on their way at the same time, and a turn can be scheduled only once at a time.
    private ConnectionTurn<SocketPipeWriter>? _drainTurn;
    private ConnectionTurn<SocketPipeWriter>? _flushTurn;
    private TaskCompletionSource? _drained;

    // Written under the lock; Held before what is held is listed, which is a full fence. Whoever takes it off the list, and every read,
    // looks without.
    private volatile Sending _state;

    /// <summary>All bytes that the kernel took so far. Written under the lock, read by whoever wants to know, without it.</summary>
    internal long BytesSent { get; private set; }

    /// <summary>Is a thread in the middle of sending? Before it stops, it counts what it has sent. Any thread.</summary>
    internal bool IsSending => _state == Sending.Sending;

    /// <summary>Does the socket have to become writable first? Any thread.</summary>
    internal bool IsParked
    {
        get
        {
            lock (_lock)
            {
                return _state == Sending.Parked;
            }
        }
    }

    /// <summary>Does a flush wait until less is queued? Any thread; may be a moment old.</summary>
    internal bool IsFlushWaiting => _flush == Flush.Waiting;

    private bool IsDrained => _closed || (_buffer.QueuedBytes == 0 && _state != Sending.Sending);

    // Queues what was written. True: the caller must send the batch.
    private bool TryBeginSendingLocked(bool mayHold, out SendBatch batch)
    {
        if (mayHold && _state == Sending.Held && _buffer.UncommittedBytes == 0)
        {
            // A flush that brings nothing belongs to the one before, which is held.
            batch = default;
            return false;
        }

        _buffer.Commit();
        return TryBeginSendingQueuedLocked(mayHold, out batch);
    }

    private bool TryBeginSendingQueuedLocked(bool mayHold, out SendBatch batch)
    {
        batch = default;
        if (_closed)
        {
            if (_state != Sending.Sending)
            {
                _buffer.Clear();
            }

            return false;
        }

        // Whoever sends, or will do so in the drain turn, takes the new bytes along.
        if (_state is Sending.Sending or Sending.Parked or Sending.Yielded || _buffer.QueuedBytes == 0 || (mayHold && TryHoldLocked()))
        {
            return false;
        }

        EndHoldingLocked(byFlush: mayHold);
        _state = Sending.Sending;
        batch = _buffer.GetBatch();
        return true;
    }

    // The caller's bytes need no copy when nothing is in front of them.
    private bool TryBeginSendingDirectlyLocked(int length)
    {
        if ((length <= MaxHeldCopy && MayHold(length))
            || length == 0
            || _closed
            || _state != Sending.Idle
            || _buffer.QueuedBytes != 0
            || _buffer.UncommittedBytes != 0)
        {
            return false;
        }

        _buffer.Commit();
        _state = Sending.Sending;
        return true;
    }

    // Without the lock, by the one who has set it to Sending.
    private void Send(SendBatch batch, bool inDrainTurn)
    {
        AfterUnlock after = default;
        Exception? unexpected = null;
        Worker? worker = _socket.Group.CurrentWorker;
        int left = inDrainTurn ? MaxSendsPerDrainTurn : int.MaxValue;
        bool more;
        do
        {
            SyscallResult result = default;
            try
            {
                result = batch.Send(_socket);
            }
            catch (Exception e)
            {
                // The pool is foreign code, also when its memory is looked at. Nobody else could send after a sender that is lost.
                unexpected = e;
            }

            CountOutput(worker, result);
            lock (_lock)
            {
                if (unexpected is not null)
                {
                    CloseLocked(ref after);
                }

                try
                {
                    _buffer.Consume(result.IsSuccess ? result.Value : 0);
                    more = GoOnSendingLocked(result, mayGoOn: --left > 0, out batch, ref after);
                }
                catch (Exception e)
                {
                    // It may also not want its memory back.
                    unexpected = e;
                    more = false;
                    _state = Sending.Idle;
                    _closed = true;
                    EndSendingLocked(ref after);
                    SettleLocked(ref after);
                }
            }
        }
        while (more);

        DoAfterUnlock(after, inDrainTurn);
        ReportUnexpected(unexpected);
    }

    private void SendDirectly(ReadOnlySpan<byte> source)
    {
        SyscallResult result = _socket.Send(source);
        CountOutput(_socket.Group.CurrentWorker, result);
        AfterUnlock after = default;
        Exception? unexpected = null;
        SendBatch batch;
        bool more;
        lock (_lock)
        {
            int sent = result.IsSuccess ? result.Value : 0;
            if (sent < source.Length && (result.IsSuccess || result.WouldBlock) && !_closed)
            {
                try
                {
                    _buffer.Write(source[sent..]);
                    _buffer.Commit();
                }
                catch (Exception e)
                {
                    // The pool is foreign code. A part has been sent, so what comes next would be garbage to the peer.
                    unexpected = e;
                    CloseLocked(ref after);
                }
            }

            more = GoOnSendingLocked(result, mayGoOn: true, out batch, ref after);
        }

        DoAfterUnlock(after, inDrainTurn: false);
        ReportUnexpected(unexpected);
        if (more)
        {
            Send(batch, inDrainTurn: false);
        }
    }

    private static void CountOutput(Worker? worker, SyscallResult result)
    {
        if (worker is not null && result.IsSuccess)
        {
            worker.OutputOfTurn += result.Value;
        }
    }

    private void ReportUnexpected(Exception? exception)
    {
        if (exception is not null)
        {
            _owner.OnUnexpectedException(exception);
        }
    }

    // After a send. True: send the batch; false: this thread has stopped sending.
    private bool GoOnSendingLocked(SyscallResult result, bool mayGoOn, out SendBatch batch, ref AfterUnlock after)
    {
        batch = default;
        bool more = false;
        BytesSent += result.IsSuccess ? result.Value : 0;
        if (_closed)
        {
            // Meanwhile, and the blocks were left to the sender.
            _state = Sending.Idle;
            ClearBufferLocked(ref after);
            after.OutputError = result.Errno == Errno.ECONNRESET ? SocketFailure.From(result.Errno) : null;
        }
        else if (result.IsSuccess)
        {
            // After a short send, too: that the buffer is full is for the kernel to say.
            more = _buffer.QueuedBytes > 0 && BytesSent < _lastByte;
        }
        else if (result.WouldBlock)
        {
            more = !TryParkLocked(ref after) && !_closed;
        }
        else
        {
            FailLocked(result.Errno, ref after);
        }

        // Where a close waits, what is left is little, and no worker is waited for.
        if (more && !mayGoOn && _lastByte == long.MaxValue)
        {
            more = false;
            _state = Sending.Yielded;
            after.DrainScheduled = true;
        }
        else if (more)
        {
            batch = _buffer.GetBatch();
        }
        else
        {
            if (_state == Sending.Sending)
            {
                _state = Sending.Idle;
            }

            EndSendingLocked(ref after);
        }

        SettleLocked(ref after);
        return more;
    }

    // The lock keeps the drain turn from overtaking. False: an edge came, or the writer is closed now.
    private bool TryParkLocked(ref AfterUnlock after)
    {
        switch (_socket.BeginWaitWritable(_drainTurn ??= NewApplicationTurn(static writer => writer.RunDrainTurn())))
        {
            case PollResult.Pending:
                _state = Sending.Parked;
                return true;
            case PollResult.Ready:
                return false;
            case PollResult.Closing:
                FailLocked(Errno.EBADF, ref after);
                return false;
            default:
                FailLocked(Errno.EIO, ref after);
                return false;
        }
    }

    // By the sender.
    private void FailLocked(Errno errno, ref AfterUnlock after)
    {
        _state = Sending.Idle;
        CloseLocked(ref after);

        // EBADF: closed by this side, which knows already. A reset is the peer's doing, whatever this side has done.
        if (errno != Errno.EBADF)
        {
            after.OutputError = errno == Errno.ECONNRESET ? SocketFailure.From(errno) : _owner.AbortReason ?? SocketFailure.From(errno);
        }
    }

    private void CloseLocked(ref AfterUnlock after)
    {
        _closed = true;
        EndHoldingLocked(byFlush: false);
        EndDeadlineLocked();
        SettleLocked(ref after);
        if (_state != Sending.Sending)
        {
            ClearBufferLocked(ref after);
        }
    }

    // The pool is foreign code, and may not want its memory back.
    private void ClearBufferLocked(ref AfterUnlock after)
    {
        try
        {
            _buffer.Clear();
        }
        catch (Exception e)
        {
            after.Unexpected = e;
        }
    }

    // Whenever less is queued than before.
    private void SettleLocked(ref AfterUnlock after)
    {
        if (_closed || _buffer.QueuedBytes < _resumeThreshold)
        {
            after.FlushSignalled |= TrySignalFlushLocked();
        }

        if (_drained is not null && IsDrained)
        {
            after.Drained = _drained;
            _drained = null;
        }

        if (_completion == Completion.Completed && !_closed && IsDrained)
        {
            _completion = Completion.Told;
            after.OutputEnded = true;
        }
    }

    // Without the lock.
    private void DoAfterUnlock(in AfterUnlock after, bool inDrainTurn)
    {
        after.Drained?.TrySetResult();
        if (after.OutputError is { } error)
        {
            _owner.OnOutputFailed(error);
        }

        if (after.OutputEnded)
        {
            _owner.OnOutputEnded();
        }

        if (after.SendingStopped)
        {
            _owner.OnSendingStopped(after.MayClose);
        }

        if (after.DrainScheduled)
        {
            // Before the application goes on in here, which may take long. This turn does not touch the sending any more.
            _drainTurn!.Schedule();
        }

        if (after.FlushSignalled && inDrainTurn)
        {
            CompleteFlush();
        }
        else
        {
            ScheduleFlushTurn(after.FlushSignalled);
        }

        ReportUnexpected(after.Unexpected);
    }

    // What must be done about what happened, once the lock has been released.
    private record struct AfterUnlock(
        bool FlushSignalled,
        Exception? OutputError,
        TaskCompletionSource? Drained,
        bool OutputEnded,
        bool DrainScheduled,
        bool SendingStopped,
        bool MayClose,
        Exception? Unexpected);
}
