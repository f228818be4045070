using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Pipes;
using KestrelNetpoll.Transport.Writing;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>The turns, and how a read that waited is completed by them.</summary>
internal sealed partial class SocketPipeReader
{
    private SocketPipeWriter? _writer;

    // The thread (a worker, unless the application runs on the thread pool) that is inside the turn; 0: none. Written by turns only: each
    // enters its own thread, and takes it out again unless the read's next turn has begun elsewhere in the meantime. So a thread that finds
    // itself here is inside the turn.
    private int _turnThread;

    // Only used where the place is learned.
    private PlaceMeter _place;

    /// <summary>Is the calling thread in the middle of this reader's turn? </summary>
    public bool IsTurnOfCurrentThread => Volatile.Read(ref _turnThread) == Environment.CurrentManagedThreadId;

    /// <summary>See <see cref="ISocketPipeOwner.PrefersThreadPool"/>.</summary>
    internal bool PrefersThreadPool => _place.PrefersThreadPool;

    /// <summary>To be called once, before the first read: who holds output while the application has the floor.</summary>
    internal void AttachWriter(SocketPipeWriter writer) => _writer = writer;

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token) => _read.GetResult(token);

    // It is to go on inside of the read's turn. Elsewhere, also elsewhere on a worker, an end of the input is not left to the turn's end.
    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _read.LookFrom(token, IsTurnOfCurrentThread);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (_read.OnCompleted(continuation, state, token, flags, _context))
        {
            _turn.Schedule();
        }
    }

    private bool RunsOnThreadPool => _placement == Placement.ThreadPool;

    // By a read that waits.
    private void LearnPlace()
    {
        bool inTurn = IsTurnOfCurrentThread || _writer is { IsTurnOfCurrentThread: true };
        if (inTurn || !_socket.Group.IsWorkerThread)
        {
            _place.OnReadWaits(inTurn);
        }
    }

    private void OnTokenCanceled(CancellationToken token)
    {
        bool wake;
        lock (_lock)
        {
            wake = _read.TryCancelLocked(token) && _wait == Wait.Parked;
        }

        if (wake)
        {
            _socket.WakeReader();
        }
    }

    private void RunTurn()
    {
        int thread = Environment.CurrentManagedThreadId;
        long begin = _place.OnTurnBegins() ? MonotonicClock.Now : 0;
        Volatile.Write(ref _turnThread, thread);
        try
        {
            AfterUnlock after = default;
            if (TryGoOn(out Found found, out CancellationTokenRegistration registration, out Exception? unexpected, ref after))
            {
                try
                {
                    if (unexpected is not null)
                    {
                        _owner.OnUnexpectedException(unexpected);
                    }

                    DoAfterUnlock(after);
                }
                finally
                {
                    // Whatever that throws, somebody waits for an answer.
                    Answer(found, registration);
                }
            }
            else
            {
                // No read waits: the turn was scheduled because the awaiter came later than the result.
                _read.Deliver();
            }
        }
        finally
        {
            Interlocked.CompareExchange(ref _turnThread, 0, thread);
            _writer?.EndTurnOutsideOfWorkers();
            OnTurnEnded();
            if (begin != 0)
            {
                bool hasBlocked = _socket.Group.CurrentWorker is { HoldsProcessorOfTurn: false, Detaches: false };
                _place.OnTurnEnded(MonotonicClock.Now - begin, hasBlocked);
            }
        }
    }

    private void Answer(in Found found, CancellationTokenRegistration registration)
    {
        registration.Unregister();
        if (found.Error is { } error)
        {
            _read.SetException(error);
        }
        else if (!found.IsNothing)
        {
            _read.SetResult(found.Result);
        }
    }

    // True: a read waits, and is answered unless nothing was found.
    private bool TryGoOn(
        out Found found, out CancellationTokenRegistration registration, out Exception? unexpected, ref AfterUnlock after)
    {
        unexpected = null;
        lock (_lock)
        {
            registration = default;
            found = default;
            if (_wait == Wait.None)
            {
                return false;
            }

            if (_wait == Wait.Parked)
            {
                // Whatever the reason, a receive finds out.
                _socket.EndWaitReadable();
            }

            _wait = Wait.None;
            _kernel = Kernel.MayHaveMuch;
            _receivesInTurn = 0;
            _readsInTurn = 0;
            try
            {
                found = LookOrWaitLocked(mayReceive: true, ref after);
            }
            catch (Exception e)
            {
                // The pool is foreign code. Somebody waits for an answer.
                unexpected = e;
                _error ??= e;
                found = new Found(_error);
            }

            if (!found.IsNothing)
            {
                registration = _read.EndLocked();

                // The hang-up's turn leaves the end to a read that waits. This one may have been answered without looking for it.
                after.ReadAhead |= _socket.HangupSeen && !_ended && _error is null;
            }
        }

        return true;
    }
}
