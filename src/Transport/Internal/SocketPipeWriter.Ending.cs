namespace KestrelNetpoll.Transport.Internal;

/// <summary>What is sent before the connection ends, who waits for it, and how it is cut short.</summary>
internal sealed partial class SocketPipeWriter
{
    // The peer has finished, and the server may close at any time: nothing is held back any more.
    private bool _endIsNear;

    // The owner waits for the end of the sending, because the input has ended, or in order to close. In the latter case it comes at the
    // latest when so many bytes have been sent.
    private bool _endAwaited;
    private bool _closeAwaited;
    private long _lastByte = long.MaxValue;

    /// <summary>Completes, on the thread pool, when the kernel has taken everything that was flushed, or never will. Any thread.</summary>
    internal Task DrainAsync()
    {
        FlushDeferred();
        lock (_lock)
        {
            if (IsDrained)
            {
                return Task.CompletedTask;
            }

            _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _drained.Task;
        }
    }

    /// <summary>
    /// Sends what was deferred, as <see cref="FlushDeferred"/> does, and sees to it that nothing is deferred from now on. False: another
    /// thread is in the middle of sending what is queued, or a worker is about to go on with it, and will call
    /// <see cref="ISocketPipeOwner.OnSendingStopped"/>. Any thread.
    /// </summary>
    internal bool FlushBeforeEnd() => FlushBefore(closing: false);

    /// <summary>
    /// The same before the connection is closed from this side, which must not take long: neither what is flushed later is waited for,
    /// nor a worker, nor a queue that is longer than what may be deferred, nor what the one send of a write under way leaves.
    /// </summary>
    internal bool FlushBeforeClose() => FlushBefore(closing: true);

    /// <summary>
    /// Drops what is queued. A flush that waits, and every later one, says IsCompleted: it is the reads that throw
    /// <paramref name="reason"/>. The socket has to be closed, too, before or after. Any thread.
    /// </summary>
    internal void Abort(Exception reason)
    {
        Effects effects = default;
        lock (_lock)
        {
            Close(ref effects);
        }

        Raise(effects, inDrainTurn: false);
    }

    private bool FlushBefore(bool closing)
    {
        SendBatch batch;
        lock (_lock)
        {
            _endIsNear = true;
            if (closing)
            {
                _lastByte = Math.Min(_lastByte, BytesSent + _buffer.QueuedBytes);
                if (_drainScheduled || _buffer.QueuedBytes > MaxDeferredBytes)
                {
                    return true;
                }
            }

            if (_sending || _drainScheduled)
            {
                _endAwaited |= !closing;
                _closeAwaited |= closing;
                return false;
            }

            if (!TryBeginSendingQueued(mayDefer: false, out batch))
            {
                return true;
            }
        }

        Send(batch, inDrainTurn: false);
        return true;
    }

    // Under the lock, when nobody sends, nor will before the peer makes room.
    private void EndSending(ref Effects effects)
    {
        effects.SendingStopped |= _endAwaited || _closeAwaited;
        effects.MayClose |= _closeAwaited;
        _endAwaited = _closeAwaited = false;
    }
}
