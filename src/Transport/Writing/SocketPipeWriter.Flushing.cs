using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>The end of a flush: answered at once, or when less is queued, or, if the turn has sent its share, when its turn comes again.</summary>
internal sealed partial class SocketPipeWriter
{
    FlushResult IValueTaskSource<FlushResult>.GetResult(short token)
    {
        if (_source.GetStatus(token) != ValueTaskSourceStatus.Pending)
        {
            _awaited = false;
        }

        return _source.GetResult(token);
    }

    // As with a read; a turn of the reader's is as good.
    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _source.LookFrom(token, IsInTurn);

    void IValueTaskSource<FlushResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (_source.OnCompleted(continuation, state, token, flags, _context))
        {
            // Created by the flush that waited.
            _flushTurn!.Schedule();
        }
    }

    // What is sent is sent; now the caller is told, or has to wait until less is queued.
    private ValueTask<FlushResult> FinishFlush(bool hasSent, CancellationToken cancellationToken)
    {
        bool yields = hasSent && HasSentItsShare();
        if (_buffer.QueuedBytes < _pauseThreshold && !_cancelRequested && !_closed && !yields)
        {
            return default;
        }

        short version;
        lock (_lock)
        {
            if (_closed || _cancelRequested || (_buffer.QueuedBytes < _pauseThreshold && !yields))
            {
                return new ValueTask<FlushResult>(TakeFlushResult());
            }

            if (_awaited)
            {
                // The application did not await the last one, which a pipe tolerates. This is that one, waiting or complete.
                return new ValueTask<FlushResult>(this, _source.Version);
            }

            // A queue this long is not held: somebody is sending or parked, and will signal the flush. One that only yields is signalled already.
            yields &= _buffer.QueuedBytes < _pauseThreshold;
            _source.Reset();
            version = _source.Version;
            _flushTurn ??= new FlushTurn(this);
            _flush = yields ? Flush.Signalled : Flush.Waiting;
            _awaited = true;
            _token = cancellationToken;
            _shareBegin = BytesSent;
        }

        if (yields)
        {
            GoOnLater(_flushTurn);
        }
        else if (cancellationToken.CanBeCanceled)
        {
            RegisterToken(cancellationToken);
        }

        return new ValueTask<FlushResult>(this, version);
    }

    // Under the lock. A cancellation is used up by the first flush that reports it.
    private FlushResult TakeFlushResult()
    {
        bool canceled = _cancelRequested;
        _cancelRequested = false;
        return new FlushResult(canceled, _closed);
    }

    // The token can be cancelled between the caller's look at it and here; then the callback runs at once, on this thread.
    private void RegisterToken(CancellationToken cancellationToken)
    {
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
            static (state, token) => ((SocketPipeWriter)state!).OnTokenCanceled(token), this);
        lock (_lock)
        {
            // Whoever waits now is still this flush: nobody can flush again before this call has returned.
            if (_flush != Flush.None)
            {
                _tokenRegistration = registration;
                return;
            }
        }

        registration.Unregister();
    }

    private void OnTokenCanceled(CancellationToken token)
    {
        bool signal;
        lock (_lock)
        {
            // A late callback, of a flush that has ended, does no harm: the next one either has another token or is meant.
            if (_flush != Flush.Waiting || _token != token)
            {
                return;
            }

            _tokenCanceled = true;
            signal = TrySignalFlush();
        }

        ScheduleFlushTurn(signal);
    }

    // Under the lock. True: the caller, and nobody else, must see to it that the flush is completed.
    private bool TrySignalFlush()
    {
        if (_flush != Flush.Waiting)
        {
            return false;
        }

        _flush = Flush.Signalled;
        return true;
    }

    private void ScheduleFlushTurn(bool signalled)
    {
        if (signalled)
        {
            _flushTurn!.Schedule();
        }
    }

    // In a turn, by the one who signalled the flush or was scheduled for it.
    private void CompleteFlush()
    {
        // Before the flush counts as over: whoever sees neither it nor the turn must be right.
        int thread = BeginApplication();
        try
        {
            CompleteFlushInTurn();
        }
        finally
        {
            EndApplication(thread);
        }
    }

    private void CompleteFlushInTurn()
    {
        CancellationTokenRegistration registration;
        OperationCanceledException? canceled = null;
        FlushResult result = default;
        _yieldedFlush?.End();
        lock (_lock)
        {
            if (_tokenCanceled)
            {
                canceled = new OperationCanceledException(_token);
            }
            else
            {
                result = TakeFlushResult();
            }

            _flush = Flush.None;
            _tokenCanceled = false;
            _token = default;
            registration = _tokenRegistration;
            _tokenRegistration = default;
        }

        // Not Dispose, which may wait for a callback; one that runs late finds its flush gone.
        registration.Unregister();
        if (canceled is not null)
        {
            _source.SetException(canceled);
        }
        else
        {
            _source.SetResult(result);
        }
    }
}
