using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

/// <summary>
/// A worker group over the real kernel whose one worker is the benchmark's thread: it fetches, dispatches and runs turns itself, so that
/// what is measured contains no switch between threads.
/// </summary>
internal sealed class WorkerByHand : IDisposable
{
    private const int BatchSize = 8;

    private readonly ThreadLocal<Worker?> _current = new();
    private readonly PollEventBatch _batch;
    private readonly ReadyList _ready = new(BatchSize * 3);

    internal WorkerByHand()
    {
        Poller = new EpollPoller(SystemCalls.Instance, new DeadlineHeap(), EpollEventLayout.Current);
        var setup = new WorkerGroupSetup("by hand", 1, BatchSize, Timeout.InfiniteTimeSpan, new WorkerLimit(1, onReached: null));
        Group = new WorkerGroup(0, setup, Poller, SystemCalls.Instance, _current);
        _batch = Poller.CreateBatch(BatchSize);

        // Somebody is there to run what is scheduled, and it is this thread.
        Group.Pool.Enter();
        Group.OnWorkerStarted(new Worker(Group, "by hand", processor: null));
    }

    internal EpollPoller Poller { get; }

    internal WorkerGroup Group { get; }

    /// <summary>Fetches what has happened, which must be something, and runs the turns that it wakes.</summary>
    internal void RunEvents()
    {
        Poller.Wait(_batch, timeoutNanoseconds: 0);
        if (_batch.Count == 0)
        {
            throw new InvalidOperationException("No event came: the benchmark would wait for ever.");
        }

        for (int i = 0; i < _batch.Count; i++)
        {
            Poller.Dispatch(in _batch[i], _ready);
        }

        for (int i = 0; i < _ready.Count; i++)
        {
            ((Turn)_ready.Take(i)).Run();
        }

        _ready.Clear();
    }

    /// <summary>A socket pair: the first end is the engine's, and registered; the second is a bare descriptor for the peer.</summary>
    internal (StreamSocket Socket, int Peer) OpenSocketPair() => SocketPair.Open(Group);

    public void Dispose()
    {
        Poller.Dispose();
        _current.Dispose();
    }
}
