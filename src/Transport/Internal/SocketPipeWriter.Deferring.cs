using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// Responses to pipelined requests leave together: a flush within a turn may be left to a later one, or to the turn's end. If the turn blocks,
/// or takes long, the worker that replaces its own sees to it (<see cref="Turn.HasDeferredWork"/>).
/// So do the responses of an HTTP/2 connection, which are flushed one by one on the thread pool: flushes outside of turns that come in bursts are
/// left to a work item at the end of the pool's queue, behind what may flush next. If the pool does not get to it in time, a worker sends.
/// </summary>
internal sealed partial class SocketPipeWriter
{
    // More than this is not held back for a turn's end: the kernel could be transmitting it.
    private const int MaxDeferredBytes = 64 * 1024;

    // Larger ones gain nothing: sending them costs more than the system call does.
    private const int MaxBurstFlush = 3 * 1024;

    // How long the pool may take, at least; at most twice that, so that the timers of many connections go off together.
    private const long LateNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;

    // Written under the lock. The end of every turn reads it without: what the turn's own thread deferred it sees, and for what others deferred
    // the ends of their turns are there, or, outside of turns, what they have queued.
    private volatile bool _deferred;

    // About flushes outside of turns.
    private BurstMeter _bursts;

    // The flushing thread's: has the flush that is under way something to send that no flush had before?
    private bool _bringsBytes;

    // One for each place, because the pool may not get to its own for long.
    private DeferredFlushTurn? _flushOnThreadPool;
    private DeferredFlushTurn? _flushOnWorker;

    // 1 while the timer of the late flush turn is armed: armed once for all bursts until it fires. Interlocked.
    private int _lateFlushArmed;
    private TurnTimer? _lateFlushTimer;

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

    // For each flush, first. One that brings nothing new belongs to the one before, whatever became of that.
    private void MeasureBurst(long bytes)
    {
        _bringsBytes = bytes != 0;
        IsInBurst = bytes <= MaxBurstFlush && !IsInTurn && (_bringsBytes ? _bursts.OnFlush(MonotonicClock.Now) : IsInBurst);
    }

    private bool TryDefer(long bytes)
    {
        if (!MayDefer(bytes))
        {
            return false;
        }

        if (IsInBurst && _bringsBytes)
        {
            _bursts.OnLeft();
        }

        if (!_deferred)
        {
            _deferred = true;
            if (IsInBurst)
            {
                LeaveToThreadPool();
            }
            else if (_onThreadPool)
            {
                // Nobody notices when a thread of the pool blocks. So a worker sends, as soon as one is free, and not the turn's end.
                _flushOnWorker ??= new DeferredFlushTurn(this);
                if (_flushOnWorker.TryClaim())
                {
                    _socket.Group.Schedule(_flushOnWorker);
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

    private void LeaveToThreadPool()
    {
        _flushOnThreadPool ??= new DeferredFlushTurn(this);
        if (_flushOnThreadPool.TryClaim())
        {
            ThreadPool.UnsafeQueueUserWorkItem(_flushOnThreadPool, preferLocal: false);
        }

        if (Interlocked.Exchange(ref _lateFlushArmed, 1) == 0)
        {
            _lateFlushTimer ??= new TurnTimer(new LateFlushTurn(this));
            _socket.Group.ScheduleAt(_lateFlushTimer, ((MonotonicClock.Now / LateNanoseconds) + 2) * LateNanoseconds);
        }
    }

    private bool MayDefer(long bytes) =>
        bytes < MaxDeferredBytes && bytes < _pauseThreshold && !_endIsNear && (IsInBurst || GoesOnInTurn);

    private bool IsInBurst { get; set; }

    // Waiting is worthwhile only if the application goes on to the next request within this turn.
    private bool GoesOnInTurn => IsInTurn && _reader.HasUnparsedInput && (_onThreadPool || _socket.Group.IsTurnWatched);

    private bool IsInTurn => _reader.IsTurnOfCurrentThread || IsTurnOfCurrentThread;

    // The monitor takes the processor away, and then looks whether anything was deferred; this is the other way round. One of them sees
    // the other.
    private bool IsStillWatched()
    {
        Interlocked.MemoryBarrier();
        return _socket.Group.IsTurnWatched;
    }
}
