using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>The end of a flush: answered at once, or when less is queued, or, if the turn has sent its share, when its turn comes
/// again.</summary>
internal sealed partial class SocketPipeWriter
{
    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _wait.GetResult(token);

    // As with a read; a turn of the reader's is as good.
    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _wait.LookFrom(token, IsInTurn);

    void IValueTaskSource<FlushResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (_wait.OnCompleted(continuation, state, token, flags, _context))
        {
            // Created by the flush that waited.
            _flushTurn!.Schedule();
        }
    }

    // What is sent is sent; now the caller is told, or has to wait until less is queued.
    private ValueTask<FlushResult> FinishFlush(bool hasSent, CancellationToken cancellationToken)
    {
        bool yields = hasSent && HasSentItsShare();
        if (_buffer.QueuedBytes < _pauseThreshold && !_cancelRequested && !IsOver && !yields)
        {
            return default;
        }

        short version;
        lock (_lock)
        {
            if (IsOver || _cancelRequested || (_buffer.QueuedBytes < _pauseThreshold && !yields))
            {
                return new ValueTask<FlushResult>(TakeFlushResultLocked());
            }

            if (_wait.IsOut)
            {
                // The application did not await the last one, which a pipe tolerates. This is that one, waiting or complete.
                return new ValueTask<FlushResult>(this, _wait.Version);
            }

            // A queue this long is not held: somebody is sending or parked, and will signal the flush. One that only yields is signalled
            // already.
            yields &= _buffer.QueuedBytes < _pauseThreshold;
            _wait.BeginLocked(cancellationToken);
            version = _wait.Version;
            _flushTurn ??= NewApplicationTurn(static writer => writer.RunFlushTurn());
            _flush = yields ? Flush.Signalled : Flush.Waiting;
            _shareBegin = BytesSent;
        }

        if (yields)
        {
            GoOnLater(_flushTurn);
        }
        else
        {
            _wait.RegisterToken(
                _lock, this, static (writer, token) => ((SocketPipeWriter)writer!).OnTokenCanceled(token), cancellationToken);

            // It may have passed while this thread was sending, when nobody waited yet.
            FailIfDeadlinePassed();
        }

        return new ValueTask<FlushResult>(this, version);
    }

    // A cancellation is used up by the first flush that reports it.
    private FlushResult TakeFlushResultLocked()
    {
        bool canceled = _cancelRequested;
        _cancelRequested = false;
        return new FlushResult(canceled, IsOver);
    }

    private void OnTokenCanceled(CancellationToken token)
    {
        bool signal;
        lock (_lock)
        {
            signal = _flush == Flush.Waiting && _wait.TryCancelLocked(token) && TrySignalFlushLocked();
        }

        ScheduleFlushTurn(signal);
    }

    // True: the caller, and nobody else, must see to it that the flush is completed.
    private bool TrySignalFlushLocked()
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
            if (_wait.IsCanceled)
            {
                canceled = _wait.CanceledException();
            }
            else
            {
                result = TakeFlushResultLocked();
            }

            _flush = Flush.None;
            registration = _wait.EndLocked();
        }

        registration.Unregister();
        if (canceled is not null)
        {
            _wait.SetException(canceled);
        }
        else
        {
            _wait.SetResult(result);
        }
    }
}
