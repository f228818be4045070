using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What those who watch over a group may ask, at any time and from any thread. The answers may be a moment old.</summary>
internal sealed partial class WorkerGroup
{
    // By HandOffReason. Written by the monitor.
    private readonly long[] _handOffsByReason = new long[Enum.GetValues<HandOffReason>().Length];

    /// <summary>Finds out for how long work waits.</summary>
    internal QueueProbe QueueProbe { get; }

    /// <summary>Turns that have begun so far.</summary>
    internal long TurnsBegun
    {
        get
        {
            long turns = 0;
            foreach (Processor processor in _processors)
            {
                turns += Volatile.Read(ref processor.Counters.Turns);
            }

            return turns;
        }
    }

    /// <summary>Timer entries that have come due, and of which this has become.</summary>
    internal long CountDeadlines(DeadlineOutcome outcome)
    {
        long count = 0;
        foreach (Processor processor in _processors)
        {
            count += Volatile.Read(ref processor.Counters.Deadlines[(int)outcome]);
        }

        return count;
    }

    /// <summary>Turns that have been queued and not begun. What the kernel has ready and nobody has fetched is not among them.</summary>
    internal int QueuedTurns
    {
        get
        {
            int turns = _queue.Count + Pooled.Count;
            foreach (Processor processor in _processors)
            {
                turns += processor.Queue.Count;
            }

            return turns;
        }
    }

    /// <summary>Turns that should lose their processor, and have it still, since no worker is to be had.</summary>
    internal int RefusedTurns
    {
        get
        {
            int turns = 0;
            foreach (Processor processor in _processors)
            {
                long state = processor.State;
                turns += Processor.IsInTurn(state) && processor.WantingState == state ? 1 : 0;
            }

            return turns;
        }
    }

    /// <summary>For the monitor, once it has handed a processor on.</summary>
    internal void CountHandOff(HandOffReason reason) =>
        Volatile.Write(ref _handOffsByReason[(int)reason], _handOffsByReason[(int)reason] + 1);

    internal long HandOffsFor(HandOffReason reason) => Volatile.Read(ref _handOffsByReason[(int)reason]);

    /// <summary>What its threads are doing.</summary>
    internal WorkerStates CountWorkers()
    {
        int running = 0;
        foreach (Processor processor in _processors)
        {
            running += Processor.IsInTurn(processor.State) ? 1 : 0;
        }

        int spares = Pool.Spares;
        return new WorkerStates(
            running, _processors.Length - running, Math.Max(0, Pool.Running - _processors.Length - spares), spares);
    }
}

/// <summary>Worker threads by what they are doing.</summary>
/// <param name="Running">Inside a turn, with a processor; it may be blocked for all that is known.</param>
/// <param name="Idle">With a processor, and between turns, or waiting for work.</param>
/// <param name="Blocked">Inside a turn that has lost its processor.</param>
/// <param name="Spare">Parked, to take the next blocked one's place.</param>
internal readonly record struct WorkerStates(int Running, int Idle, int Blocked, int Spare);
