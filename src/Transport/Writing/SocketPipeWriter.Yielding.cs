using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>A flush whose bytes have left, and whose caller yet has to let others go first, since it has sent its share.</summary>
/// <remarks>
/// <code>
///   the flush is on                 whose share is counted by    it goes on
///   -----------------------------   --------------------------   -----------------------------------------------------------------
///   a worker, inside a turn         the worker, for the turn     on a worker, at the end of the group's queue; if none has come to it
///                                                                after 0.5 s, on the thread pool, or, if workers are to run everything,
///                                                                on a worker more, even if that takes from what is left to others
///   the thread pool, where          the connection, since it,    there, at the end of the queue, unless workers are to run everything;
///   frameworks go on after a wait   or a read, last waited       on a worker, if the pool has not come to it after 20 ms: callers that
///                                                                block may have taken all its threads; after 2 s, if the pool is to
///                                                                run everything
///   any other thread                nobody
/// </code>
/// Where the thread pool takes longer than 20 ms it is blocked, perhaps by callers such as this one. Then the connection does not yield
/// again there for the next 1 MiB; for twice as much each time that happens again, up to 64 MiB, until a read gets something.
/// </remarks>
internal sealed partial class SocketPipeWriter
{
    /// <summary>What is sent without a yield after one that took too long; doubled each time.</summary>
    internal const long FirstDistance = 1024 * 1024;

    private const long LongestDistance = 64 * 1024 * 1024;

    private const long PatienceNanoseconds = 20 * MonotonicClock.NanosecondsPerMillisecond;

    // Longer than a queue of workers is: there may be none for it, if the caller blocks and no thread is to be had.
    private const long WorkerPatienceNanoseconds = 500 * MonotonicClock.NanosecondsPerMillisecond;

    // The application is to run on the thread pool. It does, unless every thread of the pool has been blocked for long.
    private const long LongPatienceNanoseconds = 2_000 * MonotonicClock.NanosecondsPerMillisecond;

    // What had been sent when the flusher last let others go first, waited, or found that nobody else was there; or when a read last waited
    // or got something: what is sent in between is sent at a stretch. Written by the flusher, and by who reads; a write that is lost moves
    // a yield.
    private long _shareBegin;

    // The last yields have taken longer than one may, because the thread pool is blocked; the caller may be one of those who block it. When
    // it yields again, and how far that is from the last time; 0: the last one was quick. Written by who ends the yield, before the flusher
    // goes on, and by who reads, as above.
    private long _yieldsAgainAt;
    private long _vainDistance;
    private YieldedFlush? _yieldedFlush;

    // By the flusher, on its thread.
    private bool HasSentItsShare()
    {
        if (_socket.Group.CurrentWorker is { } worker)
        {
            return worker.YieldsOutput();
        }

        if (BytesSent - _shareBegin < Worker.OutputBudget)
        {
            return false;
        }

        _shareBegin = BytesSent;
        return BytesSent >= _yieldsAgainAt && KeepsThreadPoolWaiting;
    }

    private void ForgetVainYields()
    {
        _yieldsAgainAt = 0;
        _vainDistance = 0;
    }

    // Before the flusher goes on.
    private void OnYielded(bool inVain)
    {
        if (!inVain)
        {
            ForgetVainYields();
            return;
        }

        _vainDistance = Math.Clamp(_vainDistance * 2, FirstDistance, LongestDistance);
        _yieldsAgainAt = BytesSent + _vainDistance;
    }

    private static bool KeepsThreadPoolWaiting => Thread.CurrentThread.IsThreadPoolThread && ThreadPool.PendingWorkItemCount > 0;

    // By the flusher, once the flush is signalled.
    private void GoOnLater(ConnectionTurn<SocketPipeWriter> turn)
    {
        bool onWorker = _socket.Group.CurrentWorker is not null;
        YieldedFlush yielded = _yieldedFlush ??= new YieldedFlush(this);
        if (onWorker || _context is not null)
        {
            yielded.Begin(WorkerPatienceNanoseconds, WorkerPatienceNanoseconds);
        }
        else
        {
            yielded.Begin(_onThreadPool ? LongPatienceNanoseconds : PatienceNanoseconds, PatienceNanoseconds);
        }

        // If the application is to go on on workers only, nobody else may come to run it, so that it is the turn itself.
        Turn next = _context is null ? yielded : turn;
        if (onWorker)
        {
            // The thread is the caller's until it lets go of it: nobody has to be woken before.
            _socket.Group.Yield(next);
        }
        else if (_context is null)
        {
            ThreadPoolQueue.Add(yielded);
        }
        else
        {
            turn.Schedule();
        }

        BackYieldedFlush(yielded);
    }

    private void BackYieldedFlush(YieldedFlush yielded)
    {
        if (_socket.Group.TryHoldUntil(yielded))
        {
            _socket.Group.Monitor?.OnHeld();
        }
    }

    // Not the turn itself, because two may come to run it: whoever is first does. A work item that comes too late may meet the next flush
    // that yields, which then goes on before its time.
    private sealed class YieldedFlush(SocketPipeWriter writer) : HeldOutput
    {
        // When others are to run it as well; 0: somebody does, or has. Interlocked.
        private long _dueAt;

        // From when on the yield has been in vain. Written before the other.
        private long _vainAt;

        internal override object Subject => writer._owner;

        internal override long DueAt => Volatile.Read(ref _dueAt);

        /// <summary>Before it is queued anywhere.</summary>
        internal void Begin(long patience, long vainPatience)
        {
            long now = MonotonicClock.Now;
            _vainAt = now + vainPatience;
            Interlocked.Exchange(ref _dueAt, now + patience);
        }

        /// <summary>For the turn that goes on without this.</summary>
        internal void End() => Interlocked.Exchange(ref _dueAt, 0);

        internal override void Run()
        {
            if (writer._context is not null)
            {
                AskForWorker();
                return;
            }

            if (Interlocked.Exchange(ref _dueAt, 0) != 0)
            {
                writer.OnYielded(inVain: MonotonicClock.Now > _vainAt);
                writer.RunFlushTurn();
            }
        }

        // Also when it has ended meanwhile, or the next one has begun: it is one worker more for a moment.
        private void AskForWorker()
        {
            long due = DueAt;
            long now = MonotonicClock.Now;
            if (due != 0 && due <= now && Interlocked.CompareExchange(ref _dueAt, now + WorkerPatienceNanoseconds, due) == due)
            {
                writer._socket.Group.AskForReserve();
                writer.BackYieldedFlush(this);
            }
        }

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }
}
