using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>
/// The write deadline. It is not the socket's, which would stop the sending: what counts is that somebody waits for the peer. So it has a
/// timer, made with the first deadline, which is armed as a descriptor's is: moving the deadline later is a store, and the timer
/// that goes off early arms itself again.
/// </summary>
internal sealed partial class SocketPipeWriter
{
    // Under the lock.
    private DeadlineTurn? _deadline;
    private bool _deadlineEnded;

    // Written under the lock; a flush reads it without.
    private volatile bool _deadlinePassed;

    // The owner has been told to end the connection, or is about to be, which may take until another thread has stopped sending.
    private volatile bool _endedByDeadline;

    /// <summary>Flushed bytes that the kernel has not taken. Any thread; may be a moment old.</summary>
    internal long QueuedBytes => _buffer.QueuedBytes;

    /// <summary>As it was set, or <see cref="PollDeadline.Expired"/>. Any thread.</summary>
    internal long Deadline
    {
        get
        {
            lock (_lock)
            {
                return _deadline?.When ?? PollDeadline.None;
            }
        }
    }

    // What a flush says about it.
    private bool IsOver => _closed || _endedByDeadline;

    // A flush that only lets others go first is not among them.
    private bool PeerIsAwaitedLocked => _flush == Flush.Waiting || _drained is not null;

    /// <summary>
    /// Sets the deadline on the monotonic clock, or <see cref="PollDeadline.None"/> or <see cref="PollDeadline.Expired"/>. Any thread.
    /// </summary>
    internal void SetDeadline(long deadline)
    {
        bool failsNow;
        lock (_lock)
        {
            if (_closed || _deadlineEnded || (_deadline is null && deadline == PollDeadline.None))
            {
                return;
            }

            _deadline ??= new DeadlineTurn(this);
            _deadline.When = deadline;
            _deadlinePassed = deadline < 0;
            failsNow = _deadlinePassed && PeerIsAwaitedLocked;
            if (deadline > 0)
            {
                ArmDeadlineLocked(_deadline);
            }
        }

        if (failsNow)
        {
            EndByDeadline();
        }
    }

    /// <summary>The connection is over: the timer would keep it alive for nothing.</summary>
    internal void EndDeadline()
    {
        lock (_lock)
        {
            EndDeadlineLocked();
        }
    }

    private void EndDeadlineLocked()
    {
        _deadlineEnded = true;
        if (_deadline is { } turn)
        {
            // If it is on its way already, it finds nothing to do.
            turn.When = PollDeadline.None;
            _socket.Group.Cancel(turn.Timer);
        }
    }

    // Before a flush begins: as in Go, it fails even if it would not have to wait. And once somebody waits: the deadline's turn looks for
    // him, under the lock, after having said that it has passed.
    private void FailIfDeadlinePassed()
    {
        if (_deadlinePassed && !_closed)
        {
            EndByDeadline();
        }
    }

    private void EndByDeadline()
    {
        _endedByDeadline = true;
        _owner.OnWriteDeadlinePassed();
    }

    private void ArmDeadlineLocked(DeadlineTurn turn)
    {
        if (turn.ArmedAt != PollDeadline.NotArmed)
        {
            // Not in the heap any more: the turn is on its way, and arms the timer again.
            if (turn.ArmedAt <= turn.When || !_socket.Group.Cancel(turn.Timer))
            {
                return;
            }
        }

        turn.ArmedAt = turn.When;
        _socket.Group.ScheduleAt(turn.Timer, turn.When);
    }

    private void OnDeadlineTurn(DeadlineTurn turn)
    {
        lock (_lock)
        {
            turn.ArmedAt = PollDeadline.NotArmed;
            if (turn.When <= 0 || _closed)
            {
                return;
            }

            if (turn.When > MonotonicClock.Now)
            {
                ArmDeadlineLocked(turn);
                return;
            }

            turn.When = PollDeadline.Expired;
            _deadlinePassed = true;
            if (!PeerIsAwaitedLocked)
            {
                return;
            }
        }

        EndByDeadline();
    }

    // The fields are guarded by the writer's lock. ArmedAt: until the turn begins, which may be after it has left the heap.
    private sealed class DeadlineTurn : Turn
    {
        private readonly SocketPipeWriter _writer;

        internal DeadlineTurn(SocketPipeWriter writer)
        {
            _writer = writer;
            Timer = new TurnTimer(this);
        }

        internal TurnTimer Timer { get; }

        internal long When { get; set; }

        internal long ArmedAt { get; set; }

        internal override object Subject => _writer._owner;

        internal override void Run() => _writer.OnDeadlineTurn(this);

        internal override void OnUnhandledException(Exception exception) => _writer._owner.OnUnexpectedException(exception);
    }
}
