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

    // Flushes outside of turns that follow each other faster belong to one burst.
    private const long BurstNanoseconds = 100_000;

    // Larger ones gain nothing: sending them costs more than the system call does.
    private const int MaxBurstFlush = 3 * 1024;
    private const int LeastFlushesBeforeBurst = 2;

    // How long the pool may take, at least; at most twice that, so that the timers of many connections go off together.
    private const long LateNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;

    // So many bursts in a row that have gathered nothing show that there are none: a client that answers quickly looks like one.
    private const int SinglesBeforeNoBurst = 4;
    private const int MostFlushesBeforeBurst = 256;

    // After so many flushes without a verdict half as many make a burst: a client may ask for many things at once later.
    private const int FlushesBeforeNextTry = 256;

    // Written under the lock. The end of every turn reads it without: what the turn's own thread deferred it sees, and for what others deferred
    // the ends of their turns are there, or, outside of turns, what they have queued.
    private volatile bool _deferred;

    // The flushing thread's, about flushes outside of turns: when the last one was, how many have followed each other quickly, how many of them
    // make a burst, and whether one is expected.
    private long _lastFlush;
    private int _quickFlushes;
    private int _flushesBeforeBurst = LeastFlushesBeforeBurst;
    private int _flushesSinceVerdict;
    private bool _bursts;

    // Under the lock: how many flushes the burst has gathered that waits to be sent, and how many bursts in a row have gathered no more than one.
    private int _gathered;
    private int _singlesInARow;

    // What became of the last bursts, if that changes anything. Written under the lock, taken by the flushing thread.
    private volatile BurstVerdict _verdict;

    // One for each place, because the pool may not get to its own for long.
    private DeferredFlushTurn? _flushOnThreadPool;
    private DeferredFlushTurn? _flushOnWorker;

    // 1 while the timer of the late flush turn is armed: armed once for all bursts until it fires. Interlocked.
    private int _lateFlushArmed;
    private TurnTimer? _lateFlushTimer;

    // The thread that is inside the application's continuation of a flush that waited; see BeginApplication.
    private int _turnThread;

    private enum BurstVerdict
    {
        None,
        GatheredMany,
        GatheredNothing,
    }

    /// <summary>Does the application wait for a flush? Any thread.</summary>
    internal bool IsFlushWaiting => _flush != Flush.None;

    /// <summary>
    /// Is the application inside a turn that has ended its flush? Any thread. Conclusive for one that has seen before that no flush waits, or knows of
    /// what the application has done since.
    /// </summary>
    internal bool TurnRuns => Volatile.Read(ref _turnThread) != 0;

    /// <summary>Is it the calling thread?</summary>
    internal bool IsTurnOfCurrentThread => Volatile.Read(ref _turnThread) == Environment.CurrentManagedThreadId;

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

    // For each flush, first. A connection whose last burst was one will have another: there the first flush waits, too.
    private void MeasureBurst(long bytes)
    {
        if (bytes > MaxBurstFlush || IsInTurn)
        {
            IsInBurst = false;
            return;
        }

        switch (_verdict)
        {
            case BurstVerdict.None:
                if (++_flushesSinceVerdict == FlushesBeforeNextTry)
                {
                    _flushesSinceVerdict = 0;
                    _flushesBeforeBurst = Math.Max(LeastFlushesBeforeBurst, _flushesBeforeBurst / 2);
                }

                break;
            case BurstVerdict.GatheredMany:
                _verdict = BurstVerdict.None;
                _flushesBeforeBurst = LeastFlushesBeforeBurst;
                break;
            default:
                _verdict = BurstVerdict.None;
                _flushesSinceVerdict = 0;
                _bursts = false;
                _quickFlushes = 0;
                _flushesBeforeBurst = Math.Min(MostFlushesBeforeBurst, _flushesBeforeBurst * 2);
                break;
        }

        long now = MonotonicClock.Now;
        if (now - _lastFlush < BurstNanoseconds)
        {
            _quickFlushes++;
            _bursts |= _quickFlushes >= _flushesBeforeBurst;
        }
        else
        {
            _bursts &= _quickFlushes != 0;
            _quickFlushes = 0;
        }

        _lastFlush = now;
        IsInBurst = _bursts;
    }

    private bool TryDefer(long bytes)
    {
        if (!MayDefer(bytes))
        {
            return false;
        }

        _gathered += IsInBurst ? 1 : 0;
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

    // Under the lock, when what was deferred is about to be sent, perhaps by one more flush.
    private void EndBurst(bool byFlush)
    {
        if (_gathered == 0)
        {
            return;
        }

        if (_gathered > 1 || byFlush)
        {
            _singlesInARow = 0;
            _verdict = BurstVerdict.GatheredMany;
        }
        else if (++_singlesInARow == SinglesBeforeNoBurst)
        {
            _singlesInARow = 0;
            _verdict = BurstVerdict.GatheredNothing;
        }

        _gathered = 0;
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
