using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>The turns: one for the socket that has become writable, and one for the flush that is over.</summary>
internal sealed partial class SocketPipeWriter
{
    // The thread that is inside the application's continuation of a flush that waited; see BeginApplication.
    private int _turnThread;

    /// <summary>Is the application inside a turn that has ended its flush? Any thread; may be a moment old.</summary>
    internal bool TurnRuns => Volatile.Read(ref _turnThread) != 0;

    /// <summary>Is it the calling thread?</summary>
    internal bool IsTurnOfCurrentThread => Volatile.Read(ref _turnThread) == Environment.CurrentManagedThreadId;

    private bool IsInTurn => _reader.IsTurnOfCurrentThread || IsTurnOfCurrentThread;

    /// <summary>
    /// Is the application inside a turn that has ended its flush, and is one to come, because a flush waits, or was answered and its
    /// awaiter has not gone on yet? Any thread. If neither, there is none.
    /// </summary>
    internal (bool Runs, bool IsToCome) LookAtTurns()
    {
        lock (_lock)
        {
            // In this order: a turn says that it runs before the application fetches the result of the flush, without the lock. The other
            // way round, a flush begins to wait under the lock, while the turn in which the application has made it still says so.
            bool isToCome = _wait.IsOut;
            return (TurnRuns, isToCome);
        }
    }

    private void RunDrainTurn()
    {
        AfterUnlock after = default;
        SendBatch batch = default;
        bool send;
        lock (_lock)
        {
            // What the turn was scheduled for; nobody else ends these.
            if (_state is not (Sending.Parked or Sending.Yielded))
            {
                return;
            }

            bool waited = _state == Sending.Parked;
            _state = Sending.Idle;
            if (waited && _socket.EndWaitWritable() == PollResult.Closing)
            {
                CloseLocked(ref after);
            }

            send = !_closed && TryBeginSendingQueuedLocked(mayHold: false, out batch);
            if (!send)
            {
                EndSendingLocked(ref after);
            }
        }

        DoAfterUnlock(after, inDrainTurn: true);
        if (send)
        {
            Send(batch, inDrainTurn: true);
        }
    }

    private void RunFlushTurn()
    {
        bool signalled;
        lock (_lock)
        {
            signalled = _flush == Flush.Signalled;
        }

        if (signalled)
        {
            CompleteFlush();
        }
        else
        {
            // It was scheduled because the awaiter came later than the result.
            int thread = BeginApplication();
            try
            {
                _wait.Deliver();
            }
            finally
            {
                EndApplication(thread);
            }
        }
    }

    // What the application does in a turn that ends its flush belongs to that turn. Not the whole of a drain turn: the next one may begin,
    // on another thread, while the application is still in this one. Only one flush waits at a time, so two of these overlap only as the
    // first one returns.
    private int BeginApplication()
    {
        int thread = Environment.CurrentManagedThreadId;
        Volatile.Write(ref _turnThread, thread);
        return thread;
    }

    private void EndApplication(int thread)
    {
        Interlocked.CompareExchange(ref _turnThread, 0, thread);
        EndTurnOutsideOfWorkers();
        _reader.OnTurnEnded();
    }

    // One that the application goes on in.
    private ConnectionTurn<SocketPipeWriter> NewApplicationTurn(Action<SocketPipeWriter> run) =>
        new(this, run, _socket.Group, _owner, _onThreadPool ? Placement.ThreadPool : Placement.Workers);
}
