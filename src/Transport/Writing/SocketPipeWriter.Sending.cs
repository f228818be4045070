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
    private DrainTurn? _drainTurn;
    private FlushTurn? _flushTurn;
    private TaskCompletionSource? _drained;

    private bool _sending;
    private bool _parked;

    // Parked, but not on the socket: the drain turn has had its share, and is on its way to a worker again.
    private bool _drainScheduled;
    private bool _endReported;

    /// <summary>All bytes that the kernel took so far. Written under the lock, read by whoever wants to know, without it.</summary>
    internal long BytesSent { get; private set; }

    /// <summary>Does the socket have to become writable first? Any thread.</summary>
    internal bool IsParked
    {
        get
        {
            lock (_lock)
            {
                return _parked && !_drainScheduled;
            }
        }
    }

    /// <summary>Does a flush wait until less is queued? Any thread; may be a moment old.</summary>
    internal bool IsFlushWaiting => _flush == Flush.Waiting;

    private bool IsDrained => _closed || (_buffer.QueuedBytes == 0 && !_sending);

    // Under the lock. Queues what was written. True: the caller must send the batch.
    private bool TryBeginSending(bool mayHold, out SendBatch batch)
    {
        if (mayHold && _held && _buffer.UncommittedBytes == 0 && !_closed)
        {
            // A flush that brings nothing belongs to the one before, which is held.
            batch = default;
            return false;
        }

        _buffer.Commit();
        return TryBeginSendingQueued(mayHold, out batch);
    }

    private bool TryBeginSendingQueued(bool mayHold, out SendBatch batch)
    {
        batch = default;
        if (_closed)
        {
            if (!_sending)
            {
                _buffer.Clear();
            }

            return false;
        }

        // Whoever sends, or is parked, will take the new bytes along.
        if (_sending || _parked || _buffer.QueuedBytes == 0 || (mayHold && TryHold()))
        {
            return false;
        }

        EndHolding(byFlush: mayHold);
        _sending = true;
        batch = _buffer.GetBatch();
        return true;
    }

    // Under the lock. The caller's bytes need no copy when nothing is in front of them.
    private bool TryBeginSendingDirectly(int length)
    {
        if ((length <= MaxHeldCopy && MayHold(length))
            || length == 0
            || _closed
            || _sending
            || _parked
            || _buffer.QueuedBytes != 0
            || _buffer.UncommittedBytes != 0)
        {
            return false;
        }

        _buffer.Commit();
        _sending = true;
        return true;
    }

    // Without the lock, by the one who has set _sending.
    private void Send(SendBatch batch, bool inDrainTurn)
    {
        Effects effects = default;
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
                    Close(ref effects);
                }

                try
                {
                    _buffer.Consume(result.IsSuccess ? result.Value : 0);
                    more = GoOnSending(result, mayGoOn: --left > 0, out batch, ref effects);
                }
                catch (Exception e)
                {
                    // It may also not want its memory back.
                    unexpected = e;
                    more = _sending = false;
                    _closed = true;
                    EndSending(ref effects);
                    Settle(ref effects);
                }
            }
        }
        while (more);

        Raise(effects, inDrainTurn);
        ReportUnexpected(unexpected);
    }

    private void SendDirectly(ReadOnlySpan<byte> source)
    {
        SyscallResult result = _socket.Send(source);
        CountOutput(_socket.Group.CurrentWorker, result);
        Effects effects = default;
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
                    Close(ref effects);
                }
            }

            more = GoOnSending(result, mayGoOn: true, out batch, ref effects);
        }

        Raise(effects, inDrainTurn: false);
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

    // Under the lock, after a send. True: send the batch; false: this thread has stopped sending.
    private bool GoOnSending(SyscallResult result, bool mayGoOn, out SendBatch batch, ref Effects effects)
    {
        batch = default;
        bool more = false;
        BytesSent += result.IsSuccess ? result.Value : 0;
        if (_closed)
        {
            // Meanwhile, and the blocks were left to the sender.
            _sending = false;
            ClearBuffer(ref effects);
            effects.OutputError = result.Errno == Errno.ECONNRESET ? SocketFailure.From(result.Errno) : null;
        }
        else if (result.IsSuccess)
        {
            // After a short send, too: that the buffer is full is for the kernel to say.
            more = _buffer.QueuedBytes > 0 && BytesSent < _lastByte;
        }
        else if (result.WouldBlock)
        {
            more = !TryPark(ref effects) && !_closed;
        }
        else
        {
            Fail(result.Errno, ref effects);
        }

        // Where a close waits, what is left is little, and no worker is waited for.
        if (more && !mayGoOn && _lastByte == long.MaxValue)
        {
            more = false;
            _parked = _drainScheduled = true;
            effects.DrainScheduled = true;
        }

        _sending = more;
        if (more)
        {
            batch = _buffer.GetBatch();
        }
        else if (!_drainScheduled)
        {
            EndSending(ref effects);
        }

        Settle(ref effects);
        return more;
    }

    // Under the lock, so that the drain turn cannot overtake. False: an edge came, or the writer is closed now.
    private bool TryPark(ref Effects effects)
    {
        switch (_socket.BeginWaitWritable(_drainTurn ??= new DrainTurn(this)))
        {
            case PollResult.Pending:
                _parked = true;
                return true;
            case PollResult.Ready:
                return false;
            case PollResult.Closing:
                Fail(Errno.EBADF, ref effects);
                return false;
            default:
                Fail(Errno.EIO, ref effects);
                return false;
        }
    }

    // Under the lock, by the sender.
    private void Fail(Errno errno, ref Effects effects)
    {
        _sending = false;
        Close(ref effects);

        // EBADF: closed by this side, which knows already. A reset is the peer's doing, whatever this side has done.
        if (errno != Errno.EBADF)
        {
            effects.OutputError = errno == Errno.ECONNRESET ? SocketFailure.From(errno) : _owner.AbortReason ?? SocketFailure.From(errno);
        }
    }

    // Under the lock.
    private void Close(ref Effects effects)
    {
        _closed = true;
        EndHolding(byFlush: false);
        EndDeadlineUnderLock();
        Settle(ref effects);
        if (!_sending)
        {
            ClearBuffer(ref effects);
        }
    }

    // Under the lock. The pool is foreign code, and may not want its memory back.
    private void ClearBuffer(ref Effects effects)
    {
        try
        {
            _buffer.Clear();
        }
        catch (Exception e)
        {
            effects.Unexpected = e;
        }
    }

    // Under the lock, whenever less is queued than before.
    private void Settle(ref Effects effects)
    {
        if (_closed || _buffer.QueuedBytes < _resumeThreshold)
        {
            effects.FlushSignalled |= TrySignalFlush();
        }

        if (_drained is not null && IsDrained)
        {
            effects.Drained = _drained;
            _drained = null;
        }

        if (_completed && !_endReported && !_closed && IsDrained)
        {
            _endReported = true;
            effects.OutputEnded = true;
        }
    }

    // Without the lock.
    private void Raise(in Effects effects, bool inDrainTurn)
    {
        effects.Drained?.TrySetResult();
        if (effects.OutputError is { } error)
        {
            _owner.OnOutputFailed(error);
        }

        if (effects.OutputEnded)
        {
            _owner.OnOutputEnded();
        }

        if (effects.SendingStopped)
        {
            _owner.OnSendingStopped(effects.MayClose);
        }

        if (effects.DrainScheduled)
        {
            // Before the application goes on in here, which may take long. This turn does not touch the sending any more.
            _drainTurn!.Schedule();
        }

        if (effects.FlushSignalled && inDrainTurn)
        {
            CompleteFlush();
        }
        else
        {
            ScheduleFlushTurn(effects.FlushSignalled);
        }

        ReportUnexpected(effects.Unexpected);
    }

    // What must be done about what happened, once the lock has been released.
    private record struct Effects(
        bool FlushSignalled,
        Exception? OutputError,
        TaskCompletionSource? Drained,
        bool OutputEnded,
        bool DrainScheduled,
        bool SendingStopped,
        bool MayClose,
        Exception? Unexpected);
}
