using System.IO.Pipelines;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>What a read finds.</summary>
internal sealed partial class SocketPipeReader
{
    // A connection that always has more bytes must let the other turns of its worker run from time to time.
    private const int MaxReceivesPerTurn = 32;

    // The same for pipelined requests: each takes a read, and few of them a receive.
    private const int MaxReadsPerTurn = 64;

    // There are bytes that no read has returned.
    private bool _hasReadAhead;
    private int _receivesInTurn;
    private int _readsInTurn;

    /// <summary>All bytes received so far. Written under the lock, read by whoever wants to know, without it.</summary>
    internal long BytesReceived { get; private set; }

    // How much more may be buffered. What the application has looked at and left, it has asked for more of.
    private long Room => _maxBufferSize == 0 ? long.MaxValue : _maxBufferSize - _buffer.UnexaminedBytes;

    // The upper part of the table at the top: what needs no system call.
    private Found LookLocked()
    {
        if (_error is { } error)
        {
            FailLocked(error);
            return new Found(error);
        }

        if (_completed)
        {
            return new Found(new ReadResult(default, isCanceled: false, isCompleted: true));
        }

        if (_read.IsCanceled)
        {
            return new Found(_read.CanceledException());
        }

        bool canceled = _cancelRequested;
        if (!canceled && HasDeadlinePassedLocked)
        {
            return new Found(new ConnectionDeadlineExceededException());
        }

        bool unexamined = _buffer.HasUnexaminedBytes;
        if (!canceled && !unexamined && !_ended)
        {
            return default;
        }

        _cancelRequested = false;
        _hasReadAhead = false;
        _answers++;
        _lease = canceled ? Lease.Tentative : Lease.Held;
        if (unexamined)
        {
            _writer?.OnInputHandedOver();
        }

        return new Found(new ReadResult(_buffer.Unconsumed, canceled, isCompleted: _ended && !unexamined));
    }

    // The lock is what makes parking safe: whoever wants to be seen by the read sets his flag under it, too.
    private Found LookOrWaitLocked(bool mayReceive, ref AfterUnlock after)
    {
        // Bytes that were read ahead make the application begin something, like bytes just received.
        if (_hasReadAhead && !mayReceive)
        {
            return WaitForTurnLocked(ref after);
        }

        if (mayReceive && ++_readsInTurn > MaxReadsPerTurn)
        {
            // Behind everything else that is queued by now. Counted also outside the reader's own turn: a handler that has come back to a
            // worker goes on with the next requests there.
            return WaitForTurnLocked(ref after);
        }

        // From a fresh connection nobody has received, nor has a turn taken an edge: whatever has come is a latched edge, and what will
        // come raises one. So a read on another thread, which is how Kestrel begins each connection, parks without having asked the kernel,
        // and without a worker.
        bool parksUnasked = !mayReceive && _kernel == Kernel.Unasked;
        if (_cancelRequested && CancelFindsNothing)
        {
            // Kestrel cancels the read of an idle connection in order to end it. A request that has come before is not to be left behind:
            // where a transport fills a pipe it would be in there by now.
            if (!mayReceive)
            {
                return WaitForTurnLocked(ref after);
            }

            ReceiveLocked(ref after);
        }

        while (true)
        {
            Found found = LookLocked();
            if (!found.IsNothing)
            {
                after.InputLeft = LeavesInput;
                return found;
            }

            if (_kernel != Kernel.Drained && !parksUnasked)
            {
                if (!mayReceive || _receivesInTurn == MaxReceivesPerTurn)
                {
                    return WaitForTurnLocked(ref after);
                }

                _receivesInTurn++;
                ReceiveLocked(ref after);
                continue;
            }

            switch (_socket.BeginWaitReadable(_turn))
            {
                case PollResult.Ready:
                    _kernel = Kernel.MayHaveMuch;
                    parksUnasked = false;
                    break;
                case PollResult.Pending:
                    _wait = Wait.Parked;
                    return default;
                case PollResult.Closing:
                    FailLocked(_owner.AbortReason ?? SocketFailure.Closed());
                    break;
                case PollResult.TimedOut:
                    // The next look says so, unless the deadline has been moved by then.
                    break;
                default:
                    EndInputLocked(SocketFailure.NotPollable(), ref after);
                    break;
            }
        }
    }

    // Under the lock. A read that was cancelled would end without bytes, though the kernel may have some: also where it was drained before,
    // since only a read that parks uses up the edge of what has come later.
    private bool CancelFindsNothing =>
        !_ended && !_completed && !_read.IsCanceled && _error is null && !_buffer.HasUnexaminedBytes;

    private Found WaitForTurnLocked(ref AfterUnlock after)
    {
        _wait = Wait.Scheduled;
        after.Resume = true;
        return default;
    }

    private void ReceiveLocked(ref AfterUnlock after)
    {
        SyscallResult result = _buffer.Receive(_socket, Room, out bool filled);
        OnReceivedLocked(result, filled, ref after);
    }

    private void OnReceivedLocked(SyscallResult result, bool filled, ref AfterUnlock after)
    {
        OnReceivedLocked(result, ref after);
        if (result.IsSuccess && result.Value != 0)
        {
            // Less than was asked for: there was no more, and more will come as an edge. Unless the peer has hung up, since the
            // end is no byte and its edge may have come already. Looked at after the receive: the edge is recorded before it wakes.
            bool hangup = _socket.HangupSeen;
            _kernel = filled || _socket.UrgentSeen ? Kernel.MayHaveMuch
                : !hangup && _socket.ShortReadDrains ? Kernel.Drained
                : Kernel.MayHaveLittle;
            after.ReadAhead |= hangup;
            if (!_paused && Room <= 0)
            {
                _paused = true;
                after.Paused = true;
            }
        }
    }

    private void OnReceivedLocked(SyscallResult result, ref AfterUnlock after)
    {
        if (result.IsError)
        {
            _kernel = Kernel.Drained;
            if (!result.WouldBlock)
            {
                OnReceiveFailedLocked(result.Errno, ref after);
            }
        }
        else if (result.Value == 0)
        {
            _ended = true;
            _kernel = Kernel.Drained;
            EndTurnTimerLocked();
            after.InputEnded = true;
        }
        else
        {
            BytesReceived += result.Value;
        }
    }

    private void OnReceiveFailedLocked(Errno errno, ref AfterUnlock after)
    {
        if (errno == Errno.EBADF)
        {
            // Closed by this side, which knows already.
            FailLocked(_owner.AbortReason ?? SocketFailure.Closed());
        }
        else
        {
            EndInputLocked(SocketFailure.From(errno), ref after);
        }
    }

    private void EndInputLocked(Exception error, ref AfterUnlock after)
    {
        FailLocked(_owner.AbortReason ?? error);
        after.InputEnded = true;
        after.EndError = _error;
    }

    // Without the lock.
    private void DoAfterUnlock(in AfterUnlock after)
    {
        try
        {
            if (after.Paused)
            {
                NetpollTransportLog.ConnectionPause(_owner.Logger, _owner.ConnectionId);
            }

            if (after.InputEnded)
            {
                _owner.OnInputEnded(after.EndError);
            }

            if (after.InputLeft)
            {
                _socket.OnInputLeft();
            }

            if (after.ReadAhead)
            {
                if ((IsTurnOfCurrentThread || _writer is { IsTurnOfCurrentThread: true }) && !_noTimeForTurns)
                {
                    LeaveReadAheadToTurn();
                }
                else
                {
                    ScheduleReadAhead();
                }
            }
        }
        finally
        {
            // A read waits for it, whatever has gone wrong.
            if (after.Resume)
            {
                _turn.Schedule();
            }
        }
    }

    // What a look found: an error, a result, or, by default, nothing.
    private readonly struct Found
    {
        private readonly bool _hasResult;

        internal Found(in ReadResult result)
        {
            _hasResult = true;
            Result = result;
        }

        internal Found(Exception error) => Error = error;

        internal bool IsNothing => !_hasResult && Error is null;

        internal ReadResult Result { get; }

        internal Exception? Error { get; }
    }

    // What must be done about what was found, once the lock has been released.
    private record struct AfterUnlock(bool InputEnded, Exception? EndError, bool ReadAhead, bool Resume, bool Paused, bool InputLeft);
}
