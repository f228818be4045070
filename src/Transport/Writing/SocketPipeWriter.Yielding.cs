using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>A flush whose bytes have left, and whose caller yet has to let others go first, since it has sent its share.</summary>
/// <remarks>
/// <code>
///   the flush is on                 whose share is counted by    it goes on
///   -----------------------------   --------------------------   -----------------------------------------------------------------
///   a worker, inside a turn         the worker, for the turn     on a worker, at the end of the group's queue; on the thread pool, if
///                                                                none has come to it after 0.5 s, unless workers are to run everything
///   the thread pool, where          the connection, since it,    there, at the end of the queue, unless workers are to run everything;
///   frameworks go on after a wait   or a read, last waited       on a worker, if the pool has not come to it after 20 ms: callers that
///                                                                block may have taken all its threads
///   any other thread                nobody
/// </code>
/// </remarks>
internal sealed partial class SocketPipeWriter
{
    private const long PatienceNanoseconds = 20 * MonotonicClock.NanosecondsPerMillisecond;

    // Longer than a queue of workers is: there may be none for it, if the caller blocks and no thread is to be had.
    private const long WorkerPatienceNanoseconds = 500 * MonotonicClock.NanosecondsPerMillisecond;

    // What had been sent when the flusher last let others go first, waited, or found that nobody else was there; or when a read last waited
    // or got something: what is sent in between is sent at a stretch. Written by the flusher, and by who reads; a write that is lost moves
    // a yield.
    private long _shareBegin;

    // The last yield has taken longer than one may, because the thread pool is blocked; the caller may be one of those who block it.
    // Written by who ends the yield, before the flusher goes on, and by who reads, as above.
    private bool _yieldsInVain;
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
        return !_yieldsInVain && KeepsThreadPoolWaiting;
    }

    private static bool KeepsThreadPoolWaiting => Thread.CurrentThread.IsThreadPoolThread && ThreadPool.PendingWorkItemCount > 0;

    // By the flusher, once the flush is signalled.
    private void GoOnLater(ConnectionTurn<SocketPipeWriter> turn)
    {
        bool onWorker = _socket.Group.CurrentWorker is not null;
        if (_context is not null)
        {
            // The application is to go on on workers only.
            if (onWorker)
            {
                _socket.Group.Yield(turn);
            }
            else
            {
                turn.Schedule();
            }

            return;
        }

        YieldedFlush yielded = _yieldedFlush ??= new YieldedFlush(this, turn);
        yielded.Begin(onWorker ? WorkerPatienceNanoseconds : PatienceNanoseconds);
        if (onWorker)
        {
            // The thread is the caller's until it lets go of it: nobody has to be woken before.
            _socket.Group.Yield(yielded);
        }
        else
        {
            ThreadPoolQueue.Add(yielded);
        }

        if (!_onThreadPool && _socket.Group.TryHoldUntil(yielded))
        {
            _socket.Group.Monitor?.OnHeld();
        }
    }

    // Not the turn itself, because two may come to run it: whoever is first does. A work item that comes too late may meet the next flush
    // that yields, which then goes on before its time.
    private sealed class YieldedFlush(SocketPipeWriter writer, Turn turn) : HeldOutput
    {
        // When others are to run it as well; 0: somebody does, or has. Interlocked.
        private long _dueAt;

        internal override long DueAt => Volatile.Read(ref _dueAt);

        /// <summary>Before it is queued anywhere.</summary>
        internal void Begin(long patience) => Interlocked.Exchange(ref _dueAt, MonotonicClock.Now + patience);

        internal override void Run()
        {
            long due = Interlocked.Exchange(ref _dueAt, 0);
            if (due != 0)
            {
                writer._yieldsInVain = MonotonicClock.Now > due;
                turn.Run();
            }
        }

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }
}
