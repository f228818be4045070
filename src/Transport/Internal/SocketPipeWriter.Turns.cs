using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>The turns: one for the socket that has become writable, one for the flush that is over, and two for what was deferred outside of
/// the turns of workers.</summary>
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

                batch = default;
                send = !_closed && TryBeginSendingQueued(mayDefer: false, out batch);
                if (!send)
                {
                    EndSending(ref effects);
                }
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
            _reader.OnTurnEnded();
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
            _reader.OnTurnEnded();
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

    // It does no more than send.
    private sealed class DeferredFlushTurn(SocketPipeWriter writer) : Turn, IThreadPoolWorkItem
    {
        internal override void Run()
        {
            // Before the flush: what is deferred from now on needs another turn.
            Interlocked.Exchange(ref writer._deferredFlushScheduled, 0);
            writer.FlushDeferred();
        }

        void IThreadPoolWorkItem.Execute() => Worker.RunGuarded(this);

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }

    // On a worker, some time after a flush was left to the thread pool, which may have sent it long ago.
    private sealed class LateFlushTurn(SocketPipeWriter writer) : Turn
    {
        internal override void Run()
        {
            // Before the flush: what is deferred from now on arms the timer again.
            Interlocked.Exchange(ref writer._lateFlushArmed, 0);
            writer.FlushDeferred();
        }

        internal override void OnUnhandledException(Exception exception) => writer._owner.OnUnexpectedException(exception);
    }
}
