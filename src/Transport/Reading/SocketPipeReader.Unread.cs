using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>
/// Input that waits unread is read ahead after some milliseconds, up to the limit of the buffer: a peer that sends more than the kernel
/// takes, and leaves, can tell so only once there is room for what it has sent.
/// </summary>
internal sealed partial class SocketPipeReader
{
    // Created when first needed; most connections never leave input unread.
    private ConnectionTurn<SocketPipeReader>? _unreadTurn;
    private bool _unreadScheduled;

    // How many results reads have had, and how many of them at the last look: the application goes on reading if they differ. They wrap
    // around.
    private int _answers;
    private int _answersAtLook = -1;

    private bool MayReadAhead =>
        _wait == Wait.None && !_paused && !_ended && !_completed && _error is null && !_socket.HangupSeen && !_socket.IsClosed;

    // The peer has hung up before, which has been seen to. Now it is gone, or has reset the connection; or there is room again for what is
    // before its end.
    private bool IsGone =>
        _wait == Wait.None && !_ended && _error is null && _socket.HangupSeen && (_socket.GoneSeen || !_paused);

    // Under the lock, when a read has been answered: is there perhaps more, of which no edge will tell? After a hang-up, that is known.
    private bool LeavesInput => _kernel == Kernel.MayHaveMuch && !_ended && _error is null;

    /// <summary>Input was marked as unread some milliseconds ago, or looked at. True: look again. Any worker.</summary>
    internal bool LookAtUnread()
    {
        ConnectionTurn<SocketPipeReader>? turn = null;
        lock (_lock)
        {
            if (MayReadAhead)
            {
                if (_answers != _answersAtLook)
                {
                    _answersAtLook = _answers;
                    return true;
                }

                if (_unreadScheduled)
                {
                    return false;
                }

                turn = _unreadTurn ??= NewTurn(static reader => reader.RunUnreadTurn());
                _unreadScheduled = true;
            }
            else if (!IsGone)
            {
                return false;
            }
        }

        if (turn is null)
        {
            ScheduleReadAhead();
        }
        else
        {
            turn.Schedule();
        }

        return false;
    }

    private void RunUnreadTurn()
    {
        lock (_lock)
        {
            _unreadScheduled = false;
        }

        for (int i = 0; i < MaxReceivesPerTurn; i++)
        {
            // The lock is given back after each receive: the application may come to read at any time.
            AfterUnlock after = default;
            bool more;
            lock (_lock)
            {
                more = MayReadAhead && ReceiveAheadLocked(ref after);
            }

            DoAfterUnlock(after);
            if (!more)
            {
                return;
            }
        }

        lock (_lock)
        {
            if (_unreadScheduled)
            {
                return;
            }

            _unreadScheduled = true;
        }

        _unreadTurn!.Schedule();
    }

    // True: there may be more.
    private bool ReceiveAheadLocked(ref AfterUnlock after)
    {
        SyscallResult result = _buffer.Receive(_socket, Room, out bool filled);
        if (result.IsSuccess && result.Value == 0)
        {
            // Its event is on its way. It is left to the hang-up's turn, which lets the application's turn end first.
            _kernel = _kernel == Kernel.Drained ? Kernel.MayHaveLittle : _kernel;
            after.ReadAhead = true;
            return false;
        }

        OnReceivedLocked(result, filled, ref after);
        _hasReadAhead = _buffer.HasUnexaminedBytes;
        return _kernel != Kernel.Drained;
    }
}
