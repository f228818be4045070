using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>The end of a connection is noticed while no read waits for it: by reading ahead, or, once nobody reads, by throwing
/// away.</summary>
internal sealed partial class SocketPipeReader
{
    private const int DiscardBlockSize = 8 * 1024;

    // How long the end of a connection may be left unnoticed for a turn.
    private const int MaxTurnMilliseconds = 200;

    // Created when first needed; most connections never hang up while the application is busy.
    private ConnectionTurn<SocketPipeReader>? _readAheadTurn;
    private bool _readAheadScheduled;

    // A read-ahead is left to the end of the turn that runs: an application that answers inside the turn is to be done before it
    // learns of the end, which makes it drop the connection. Not under the lock; the end of any turn may see to it.
    private volatile bool _readAheadDue;

    // The application has begun to read. Written under the lock, read also without it.
    private volatile bool _readBegun;

    // Turns have had their time; an application that blocks them learns of the end all the same. Written by the timer.
    private volatile bool _noTimeForTurns;
    private Timer? _turnTimer;

    // The application may be in the middle of a turn: the one that answered its read, or the one that ended its flush, in which it has gone
    // on to the next request.
    private bool TurnRuns => Volatile.Read(ref _turnThread) != 0 || _writer is { TurnRuns: true };

    /// <summary>
    /// The peer hung up. Unless a read waits, which finds out itself, this reads ahead, so that the end is noticed while the
    /// application is busy. As a turn on a worker; may come spuriously.
    /// </summary>
    internal void OnHangup()
    {
        AfterUnlock after = default;
        bool turnRuns = false;
        bool turnIsOver = false;
        lock (_lock)
        {
            if (_wait != Wait.None)
            {
                return;
            }

            // A turn says that it runs before it takes the lock in order to answer a read: as no read waits, none can begin any more that
            // is not seen here. It may turn into the wait for a flush, however, so that this order matters.
            bool readTurnRuns = Volatile.Read(ref _turnThread) != 0;
            (bool flushTurnRuns, bool flushTurnIsToCome) = _writer?.LookAtTurns() ?? default;
            if ((readTurnRuns || flushTurnRuns) && !_noTimeForTurns)
            {
                turnRuns = true;
            }
            else if (!_completed && !_noTimeForTurns && (flushTurnIsToCome || !_readBegun || _read.IsOut || RunsOnThreadPool))
            {
                // The turn is still to come: a flush waits, nothing has been read yet, or either was answered before its awaiter was there.
                // A peer that connects, sends its request and finishes must not be dropped before the application has seen the request. On
                // the thread pool the application may also be busy outside of any turn, with what a read has found at once.
                _readAheadDue = true;
                LimitTurnsLocked();

                // A flush may have ended in the meantime, and its turn as well, without having seen that.
                turnIsOver = flushTurnIsToCome && _writer!.LookAtTurns() is (false, false);
            }
            else if (_completed)
            {
                DiscardLocked(ref after);
            }
            else
            {
                ReadAheadLocked(ref after);
            }
        }

        if (turnRuns)
        {
            LeaveReadAheadToTurn();
        }
        else if (turnIsOver)
        {
            ScheduleReadAhead();
        }
        else
        {
            DoAfterUnlock(after);
        }
    }

    /// <summary>At the end of a turn of this connection, of either half, when it no longer counts as running.</summary>
    public void OnTurnEnded()
    {
        if (_readAheadDue)
        {
            _readAheadDue = false;
            ScheduleReadAhead();
        }
    }

    private void ReadAheadLocked(ref AfterUnlock after)
    {
        do
        {
            if (_ended || _error is not null)
            {
                break;
            }

            if (Room <= 0)
            {
                LookForErrorLocked(ref after);
                break;
            }

            ReceiveLocked(ref after);
        }
        while (_kernel != Kernel.Drained);

        _hasReadAhead = _buffer.HasUnexaminedBytes;

        // This is what one would do.
        after.ReadAhead = false;
    }

    // No receive gets as far as to a reset, behind bytes that there is no room for; but the bytes are worth nothing then.
    private void LookForErrorLocked(ref AfterUnlock after)
    {
        if (_socket.GoneSeen && _socket.TakeError() is var errno && errno is not (Errno.Success or Errno.EBADF))
        {
            EndInputLocked(SocketFailure.From(errno), ref after);
        }
    }

    // Nobody wants the bytes any more, but the end behind them is to be noticed.
    private void DiscardLocked(ref AfterUnlock after)
    {
        Span<byte> scrap = stackalloc byte[DiscardBlockSize];
        for (int i = 0; i < MaxReceivesPerTurn; i++)
        {
            if (_ended || _error is not null)
            {
                return;
            }

            SyscallResult result = _socket.Receive(scrap);
            if (result.WouldBlock)
            {
                return;
            }

            OnReceivedLocked(result, ref after);
        }

        after.ReadAhead = !_ended && _error is null;
    }

    private void LeaveReadAheadToTurn()
    {
        _readAheadDue = true;

        // A turn's end takes its thread out and then looks: one of the two sees the other.
        Interlocked.MemoryBarrier();
        if (!TurnRuns)
        {
            ScheduleReadAhead();
            return;
        }

        lock (_lock)
        {
            LimitTurnsLocked();
        }
    }

    // For the first turn that is given time; it is all that there is.
    private void LimitTurnsLocked()
    {
        if (!_ended && _error is null)
        {
            _turnTimer ??= StartTurnTimer();
        }
    }

    // Once the end is known. The timer would keep the connection alive for nothing; that it goes off at this very moment
    // does no harm.
    private void EndTurnTimerLocked() => _turnTimer?.Dispose();

    private Timer StartTurnTimer()
    {
        // This may be inside the application's continuation, and the timer stays as long as the connection: it must not keep the
        // context of one request.
        bool suppress = !ExecutionContext.IsFlowSuppressed();
        if (suppress)
        {
            ExecutionContext.SuppressFlow();
        }

        try
        {
            return new Timer(
                static state =>
                {
                    var reader = (SocketPipeReader)state!;
                    reader._noTimeForTurns = true;
                    reader.ScheduleReadAhead();
                },
                this,
                MaxTurnMilliseconds,
                Timeout.Infinite);
        }
        finally
        {
            if (suppress)
            {
                ExecutionContext.RestoreFlow();
            }
        }
    }

    // A read that got bytes after the hang-up keeps the application busy with them. Meanwhile the end waits behind them in the kernel, and
    // its edge is spent. So one more turn goes and looks.
    private void ScheduleReadAhead()
    {
        ConnectionTurn<SocketPipeReader> turn;
        lock (_lock)
        {
            if (_readAheadScheduled || _ended || _error is not null)
            {
                return;
            }

            _readAheadScheduled = true;
            turn = _readAheadTurn ??= NewTurn(static reader => reader.RunReadAheadTurn());
        }

        turn.Schedule();
    }

    private void RunReadAheadTurn()
    {
        lock (_lock)
        {
            _readAheadScheduled = false;
        }

        OnHangup();
    }

    // Of the transport's own: the application does not go on in it.
    private ConnectionTurn<SocketPipeReader> NewTurn(Action<SocketPipeReader> run) =>
        new(this, run, _socket.Group, _owner, Placement.Workers);
}
