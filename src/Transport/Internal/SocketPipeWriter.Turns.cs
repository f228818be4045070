using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>The turns: one for the socket that has become writable, one for the flush that is over, and, if the
/// application runs on the thread pool, one for what it has deferred there.</summary>
internal sealed partial class SocketPipeWriter
{
    private void RunDrainTurn()
    {
        int thread = Environment.CurrentManagedThreadId;
        Volatile.Write(ref _turnThread, thread);
        try
        {
            Effects effects = default;
            SendBatch batch;
            bool send;
            lock (_lock)
            {
                _parked = false;
                bool waited = !_drainScheduled;
                _drainScheduled = false;
                if (waited && _socket.EndWaitWritable() == PollResult.Closing)
                {
                    Close(ref effects);
                }

                send = TryBeginSendingQueued(mayDefer: false, out batch);
            }

            Raise(effects, inDrainTurn: true);
            if (send)
            {
                Send(batch, inDrainTurn: true);
            }
        }
        finally
        {
            Interlocked.CompareExchange(ref _turnThread, 0, thread);
            FlushDeferred();
        }
    }

    private void RunFlushTurn()
    {
        int thread = Environment.CurrentManagedThreadId;
        Volatile.Write(ref _turnThread, thread);
        try
        {
            bool signalled;
            lock (_lock)
            {
                signalled = _flush == Flush.Signalled;
            }

            if (signalled)
            {
                CompleteFlush();
            }
            else
            {
                // It was scheduled because the awaiter came later than the result.
                _source.Deliver();
            }
        }
        finally
        {
            Interlocked.CompareExchange(ref _turnThread, 0, thread);
            FlushDeferred();
        }
    }

    private sealed class DrainTurn(SocketPipeWriter writer) : ConnectionTurn(writer._socket.Group, writer._onThreadPool)
    {
        protected override SocketPipeWriter Writer => writer;

        protected override void RunHere() => writer.RunDrainTurn();

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }

    private sealed class FlushTurn(SocketPipeWriter writer) : ConnectionTurn(writer._socket.Group, writer._onThreadPool)
    {
        protected override SocketPipeWriter Writer => writer;

        protected override void RunHere() => writer.RunFlushTurn();

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }

    // On a worker, always: it does no more than send.
    private sealed class DeferredFlushTurn(SocketPipeWriter writer) : Turn
    {
        internal override void Run()
        {
            // Before the flush: what is deferred from now on needs another turn.
            Interlocked.Exchange(ref writer._deferredFlushScheduled, 0);
            writer.FlushDeferred();
        }

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }
}
