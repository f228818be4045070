using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
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

    /// <summary>Is the calling thread in the middle of this reader's turn? </summary>
    public bool IsTurnOfCurrentThread => Volatile.Read(ref _turnThread) == Environment.CurrentManagedThreadId;

    /// <summary>To be called once, before the first read: who holds output while the application has the floor.</summary>
    internal void AttachWriter(SocketPipeWriter writer) => _writer = writer;

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        if (_source.GetStatus(token) != ValueTaskSourceStatus.Pending)
        {
            _awaited = false;
        }

        return _source.GetResult(token);
    }

    // Not on the thread pool, nor on a worker but outside of the read's turn, where an end of the input would not be left to the turn's
    // end.
    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _source.LookFrom(token, IsTurnOfCurrentThread);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (_source.OnCompleted(continuation, state, token, flags, _context))
        {
            _turn.Schedule();
        }
    }

    // The token can be cancelled between the caller's look at it and here; then the callback runs at once, on this thread.
    private void RegisterToken(CancellationToken cancellationToken)
    {
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
            static (state, token) => ((SocketPipeReader)state!).OnTokenCanceled(token), this);
        lock (_lock)
        {
            // Whoever waits now is still this read: nobody can read again before this call has returned.
            if (_wait != Wait.None)
            {
                _tokenRegistration = registration;
                return;
            }
        }

        registration.Unregister();
    }

    private void OnTokenCanceled(CancellationToken token)
    {
        bool wake;
        lock (_lock)
        {
            // A late callback, of a read that has ended, does no harm: the next read either has another token or is meant.
            if (_wait == Wait.None || _token != token)
            {
                return;
            }

            _tokenCanceled = true;
            wake = _wait == Wait.Parked;
        }

        if (wake)
        {
            _socket.WakeReader();
        }
    }

    private void RunTurn()
    {
        int thread = Environment.CurrentManagedThreadId;
        Volatile.Write(ref _turnThread, thread);
        try
        {
            Notices notices = default;
            if (TryTakeTurn(out Found found, out CancellationTokenRegistration registration, out Exception? unexpected, ref notices))
            {
                try
                {
                    if (unexpected is not null)
                    {
                        _owner.OnUnexpectedException(unexpected);
                    }

                    Raise(notices);
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
                _source.Deliver();
            }
        }
        finally
        {
            Interlocked.CompareExchange(ref _turnThread, 0, thread);
            _writer?.EndTurnOfThreadPool();
            OnTurnEnded();
        }
    }

    private void Answer(in Found found, CancellationTokenRegistration registration)
    {
        // Not Dispose, which may wait for a callback; one that runs late finds its read gone.
        registration.Unregister();
        if (found.Error is { } error)
        {
            _source.SetException(error);
        }
        else if (!found.IsNothing)
        {
            _source.SetResult(found.Result);
        }
    }

    // True: a read waits, and is answered unless nothing was found.
    private bool TryTakeTurn(
        out Found found, out CancellationTokenRegistration registration, out Exception? unexpected, ref Notices notices)
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
            _drained = false;
            _mayHaveLeft = true;
            _isFresh = false;
            _receivesInTurn = 0;
            _readsInTurn = 0;
            try
            {
                found = LookOrWait(mayReceive: true, ref notices);
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
                registration = _tokenRegistration;
                _tokenRegistration = default;
                _token = default;
                _tokenCanceled = false;

                // The hang-up's turn leaves the end to a read that waits. This one may have been answered without looking for it.
                notices.ReadAhead |= _socket.HangupSeen && !_ended && _error is null;
            }
        }

        return true;
    }

    private sealed class ReadTurn(SocketPipeReader reader, bool onThreadPool) : ConnectionTurn(reader._socket.Group, onThreadPool)
    {
        protected override void RunHere() => reader.RunTurn();

        internal override void OnUnhandledException(Exception exception) => reader._owner.OnUnexpectedException(exception);
    }

    private sealed class ReadAheadTurn(SocketPipeReader reader) : Turn
    {
        internal override void Run()
        {
            lock (reader._lock)
            {
                reader._readAheadScheduled = false;
            }

            reader.OnHangup();
        }

        internal override void OnUnhandledException(Exception exception) => reader._owner.OnUnexpectedException(exception);
    }
}
