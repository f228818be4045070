namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// Responses to pipelined requests leave together: a flush within a turn may be left to a later one, or to the turn's end. If the turn blocks,
/// or takes long, the worker that replaces its own sees to it (<see cref="Native.Scheduling.Turn.HasDeferredWork"/>).
/// </summary>
internal sealed partial class SocketPipeWriter
{
    // More than this is not held back for a turn's end: the kernel could be transmitting it.
    private const int MaxDeferredBytes = 64 * 1024;

    // Written under the lock. The end of every turn reads it without: what the turn's own thread deferred it sees, and what others
    // deferred the ends of their turns will send.
    private volatile bool _deferred;

    // Only if the application runs on the thread pool: 1 from the moment that the turn is scheduled until it runs. Interlocked.
    private int _deferredFlushScheduled;
    private DeferredFlushTurn? _deferredFlushTurn;

    // The worker inside one of this writer's turns; like its counterpart in the reader.
    private int _turnThread;

    /// <summary>Has a flush been left to the end of the turn? Any thread; may be a moment old.</summary>
    internal bool HasDeferred => _deferred;

    /// <summary>Sends what a flush within the turn that is ending has left for it. Cheap if there is nothing. Any thread.</summary>
    internal void FlushDeferred()
    {
        if (!_deferred)
        {
            return;
        }

        SendBatch batch;
        bool send;
        lock (_lock)
        {
            send = TryBeginSendingQueued(mayDefer: false, out batch);
        }

        if (send)
        {
            Send(batch, inDrainTurn: false);
        }
    }

    private bool TryDefer(long bytes)
    {
        if (!MayDefer(bytes))
        {
            return false;
        }

        if (!_deferred)
        {
            _deferred = true;
            if (_onThreadPool)
            {
                // Nobody notices when a thread of the pool blocks. So a worker sends, as soon as one is free, and not the turn's end.
                if (Interlocked.Exchange(ref _deferredFlushScheduled, 1) == 0)
                {
                    _socket.Group.Schedule(_deferredFlushTurn ??= new DeferredFlushTurn(this));
                }
            }
            else if (!IsStillWatched())
            {
                _deferred = false;
                return false;
            }
            else
            {
                _socket.Group.Monitor!.OnWorkDeferred();
            }
        }

        return true;
    }

    // Waiting is worthwhile only if the application goes on to the next request within this turn.
    private bool MayDefer(long bytes) =>
        bytes < MaxDeferredBytes
        && bytes < _pauseThreshold
        && (_reader.IsTurnOfCurrentThread || Volatile.Read(ref _turnThread) == Environment.CurrentManagedThreadId)
        && _reader.HasUnparsedInput
        && (_onThreadPool || _socket.Group.IsTurnWatched);

    // The monitor takes the processor away, and then looks whether anything was deferred; this is the other way round. One of them sees
    // the other.
    private bool IsStillWatched()
    {
        Interlocked.MemoryBarrier();
        return _socket.Group.IsTurnWatched;
    }
}
