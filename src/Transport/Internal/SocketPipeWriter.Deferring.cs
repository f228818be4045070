namespace KestrelNetpoll.Transport.Internal;

/// <summary>Responses to pipelined requests leave together: a flush within a turn may be left to a later one, or to the turn's end.</summary>
internal sealed partial class SocketPipeWriter
{
    // More than this is not held back for a turn's end: the kernel could be transmitting it.
    private const int MaxDeferredBytes = 64 * 1024;

    // An application that answers the next request takes microseconds.
    private const int MaxDeferralMilliseconds = 10;

    // Written under the lock. The end of every turn reads it without: what the turn's own thread deferred it sees, and what others
    // deferred the ends of their turns will send.
    private volatile bool _deferred;

    // When the oldest of the deferred bytes were flushed, on the clock of Environment.TickCount64: coarse, and nearly free.
    private long _deferredSince;

    // The value of SocketPipeReader.Advances for which nothing more is deferred.
    private int _urgentAt = -1;

    // The worker inside one of this writer's turns; like its counterpart in the reader.
    private int _turnThread;

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
            _deferredSince = Environment.TickCount64;
            _deferred = true;
        }

        return true;
    }

    // Waiting is worthwhile only if the application goes on to the next request within this turn.
    private bool MayDefer(long bytes) =>
        bytes < MaxDeferredBytes
        && bytes < _pauseThreshold
        && (_reader.IsTurnOfCurrentThread || Volatile.Read(ref _turnThread) == Environment.CurrentManagedThreadId)
        && _reader.HasUnparsedInput
        && !IsUrgent();

    // What was deferred has waited too long: the application blocks its turn, or computes. So it gets its flushes at once until it
    // reads again.
    private bool IsUrgent()
    {
        if (_deferred && Environment.TickCount64 - _deferredSince > MaxDeferralMilliseconds)
        {
            _urgentAt = _reader.Advances;
        }

        return _urgentAt == _reader.Advances;
    }
}
