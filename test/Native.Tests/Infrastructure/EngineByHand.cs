using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// The engine without its threads: a worker group that was never started, over a simulated kernel. The test is the worker, or
/// all of them: it fetches, holds fetched events back, dispatches, fires deadlines and runs turns, in the order it likes.
/// </summary>
internal sealed class EngineByHand : IDisposable
{
    private readonly PollEventBatch _batch;
    private readonly ReadyList _ready = new(4);
    private readonly ThreadLocal<Worker?> _current = new();

    internal EngineByHand(int batchSize = 64)
    {
        Poller = new EpollPoller(Kernel, Heap, EpollEventLayout.Current);
        Group = Groups.CreateByHand(1, batchSize, Poller, Kernel, _current);
        _batch = Poller.CreateBatch(batchSize);
    }

    internal SimulatedKernel Kernel { get; } = new();

    internal DeadlineHeap Heap { get; } = new();

    internal EpollPoller Poller { get; }

    internal WorkerGroup Group { get; }

    /// <summary>A started socket.</summary>
    internal StreamSocket OpenSocket(out SimulatedFile file, Turn? hangupTurn = null)
    {
        file = Kernel.Create();
        var socket = new StreamSocket(file.Fd, Group, Kernel);
        if (hangupTurn is not null)
        {
            socket.SetHangupTurn(hangupTurn);
        }

        socket.Start();
        return socket;
    }

    /// <summary>Takes what is pending out of the kernel. What the test does not dispatch at once is a stale event in the making.</summary>
    internal List<PollEvent> Fetch()
    {
        Poller.Wait(_batch, timeoutNanoseconds: 0);
        List<PollEvent> events = [];
        for (int i = 0; i < _batch.Count; i++)
        {
            events.Add(_batch[i]);
        }

        return events;
    }

    /// <summary>Dispatches one event; the turns it releases join the queue. False: it was stale.</summary>
    internal bool Dispatch(PollEvent pollEvent)
    {
        bool current = Poller.Dispatch(in pollEvent, _ready);
        for (int i = 0; i < _ready.Count; i++)
        {
            Group.Schedule(_ready.Take(i));
        }

        _ready.Clear();
        if (_ready.TakeUnread() is UnreadInput input)
        {
            Group.OnUnread(input);
        }

        return current;
    }

    /// <summary>Fires what is due at a moment of the test's choice; the turns join the queue.</summary>
    internal void FireDeadlines(long now)
    {
        while (Heap.TryTakeExpired(now, out DeadlineTimer timer, out uint sequence))
        {
            Group.Schedule(timer is TurnTimer turnTimer ? turnTimer.Turn : ((PollDeadline)timer).Fire(sequence, now, out _));
        }
    }

    internal bool RunOneTurn()
    {
        Group.Processors[0].GroupTurnsSincePoll = 0;
        if (!Group.TryTakeTurn(Group.Processors[0], out Turn? turn))
        {
            return false;
        }

        turn!.Run();
        return true;
    }

    /// <summary>Fetches, dispatches and runs until nothing is left to do.</summary>
    internal void RunToQuiescence()
    {
        bool busy = true;
        while (busy)
        {
            List<PollEvent> events = Fetch();
            foreach (PollEvent pollEvent in events)
            {
                Dispatch(pollEvent);
            }

            busy = events.Count != 0;
            while (RunOneTurn())
            {
                busy = true;
            }
        }
    }

    public void Dispose()
    {
        Poller.Dispose();
        _current.Dispose();
    }
}
