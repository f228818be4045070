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

    // No turn of a read has run yet. One may take an edge and not receive, because the read was cancelled.
    private bool _isFresh = true;

    // There are bytes that no read has returned.
    private bool _hasReadAhead;
    private int _receivesInTurn;
    private int _readsInTurn;

    /// <summary>All bytes received so far. Written under the lock, read by whoever wants to know, without it.</summary>
    internal long BytesReceived { get; private set; }

    // How much more may be buffered. What the application has looked at and left, it has asked for more of.
    private long Room => _maxBufferSize == 0 ? long.MaxValue : _maxBufferSize - _buffer.UnexaminedBytes;

    // Under the lock. The upper part of the table at the top: what needs no system call.
    private Found Look()
    {
        if (_error is { } error)
        {
            Fail(error);
            return new Found(error);
        }

        if (_completed)
        {
            return new Found(new ReadResult(default, isCanceled: false, isCompleted: true));
        }

        if (_tokenCanceled)
        {
            return new Found(new OperationCanceledException(_token));
        }

        bool canceled = _cancelRequested;
        if (!canceled && DeadlinePassed)
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

    // Under the lock, which is what makes parking safe: whoever wants to be seen by the read sets his flag under it, too.
    private Found LookOrWait(bool mayReceive, ref Notices notices)
    {
        // Bytes that were read ahead make the application begin something, like bytes just received.
        if (_hasReadAhead && !mayReceive)
        {
            return WaitForTurn(ref notices);
        }

        if (mayReceive && ++_readsInTurn > MaxReadsPerTurn)
        {
            // Behind everything else that is queued by now. Counted also outside the reader's own turn: a handler that has come back to a
            // worker goes on with the next requests there.
            return WaitForTurn(ref notices);
        }

        // From a fresh connection nobody has received, nor has a turn taken an edge: whatever has come is a latched edge, and what will come raises one. So
        // a read on another thread, which is how Kestrel begins each connection, parks without having asked the kernel, and without a worker.
        bool parksUnasked = !mayReceive && _isFresh && BytesReceived == 0;
        if (_cancelRequested && CancelFindsNothing)
        {
            // Kestrel cancels the read of an idle connection in order to end it. A request that has come before is not to be left behind:
            // where a transport fills a pipe it would be in there by now.
            if (!mayReceive)
            {
                return WaitForTurn(ref notices);
            }

            Receive(ref notices);
        }

        while (true)
        {
            Found found = Look();
            if (!found.IsNothing)
            {
                notices.InputLeft = LeavesInput;
                return found;
            }

            if (!_drained && !parksUnasked)
            {
                if (!mayReceive || _receivesInTurn == MaxReceivesPerTurn)
                {
                    return WaitForTurn(ref notices);
                }

                _receivesInTurn++;
                Receive(ref notices);
                continue;
            }

            switch (_socket.BeginWaitReadable(_turn))
            {
                case PollResult.Ready:
                    _drained = false;
                    _mayHaveLeft = true;
                    parksUnasked = false;
                    break;
                case PollResult.Pending:
                    _wait = Wait.Parked;
                    return default;
                case PollResult.Closing:
                    Fail(_owner.AbortReason ?? SocketFailure.Closed());
                    break;
                case PollResult.TimedOut:
                    // The next look says so, unless the deadline has been moved by then.
                    break;
                default:
                    EndInput(SocketFailure.NotPollable(), ref notices);
                    break;
            }
        }
    }

    // Under the lock. A read that was cancelled would end without bytes, though the kernel may have some.
    private bool CancelFindsNothing =>
        !_drained && !_ended && !_completed && !_tokenCanceled && _error is null && !_buffer.HasUnexaminedBytes;

    private Found WaitForTurn(ref Notices notices)
    {
        _wait = Wait.Scheduled;
        notices.Resume = true;
        return default;
    }

    // Under the lock.
    private void Receive(ref Notices notices)
    {
        SyscallResult result = _buffer.Receive(_socket, Room, out bool filled);
        OnReceived(result, filled, ref notices);
    }

    // Under the lock.
    private void OnReceived(SyscallResult result, bool filled, ref Notices notices)
    {
        OnReceived(result, ref notices);
        if (result.IsSuccess && result.Value != 0)
        {
            // Less than was asked for: there was no more, and more will come as an edge. Unless the peer has hung up, since the
            // end is no byte and its edge may have come already. Looked at after the receive: the edge is recorded before it wakes.
            bool hangup = _socket.HangupSeen;
            _drained = !filled && !hangup && _socket.ShortReadDrains;
            _mayHaveLeft = filled || _socket.UrgentSeen;
            notices.ReadAhead |= hangup;
            if (!_paused && Room <= 0)
            {
                _paused = true;
                notices.Paused = true;
            }
        }
    }

    // Under the lock.
    private void OnReceived(SyscallResult result, ref Notices notices)
    {
        if (result.IsError)
        {
            _drained = true;
            if (!result.WouldBlock)
            {
                OnReceiveFailed(result.Errno, ref notices);
            }
        }
        else if (result.Value == 0)
        {
            _ended = true;
            _drained = true;
            EndTurnTimer();
            notices.InputEnded = true;
        }
        else
        {
            BytesReceived += result.Value;
        }
    }

    private void OnReceiveFailed(Errno errno, ref Notices notices)
    {
        if (errno == Errno.EBADF)
        {
            // Closed by this side, which knows already.
            Fail(_owner.AbortReason ?? SocketFailure.Closed());
        }
        else
        {
            EndInput(SocketFailure.From(errno), ref notices);
        }
    }

    private void EndInput(Exception error, ref Notices notices)
    {
        Fail(_owner.AbortReason ?? error);
        notices.InputEnded = true;
        notices.EndError = _error;
    }

    // Without the lock.
    private void Raise(in Notices notices)
    {
        try
        {
            if (notices.Paused)
            {
                NetpollTransportLog.ConnectionPause(_owner.Logger, _owner.ConnectionId);
            }

            if (notices.InputEnded)
            {
                _owner.OnInputEnded(notices.EndError);
            }

            if (notices.InputLeft)
            {
                _socket.OnInputLeft();
            }

            if (notices.ReadAhead)
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
            if (notices.Resume)
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
    private record struct Notices(bool InputEnded, Exception? EndError, bool ReadAhead, bool Resume, bool Paused, bool InputLeft);
}
