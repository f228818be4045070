namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The processors of a group that rest without waiting for events: Go's list of idle Ps. Their workers are parked with the processor in
/// their hands. At least one processor is never here: it runs turns, or waits for events. Thread-safe.
/// </summary>
/// <remarks>
/// <code>
///   processor   becomes   when
///   active      idle      its holder finds nothing to do, and another one is active
///   idle        active    TryWakeOne, WakeAll; the one that went idle last comes first
/// </code>
/// </remarks>
internal sealed class IdleProcessors(int processorCount)
{
    // Guards _idle, _closed and the writing of _count and Processor.IsIdle.
    private readonly Lock _lock = new();
    private readonly Stack<(Processor Processor, Worker Worker)> _idle = [];
    private bool _closed;
    private int _count;

    internal int Count => Volatile.Read(ref _count);

    /// <summary>
    /// For the worker that holds the processor: says that it is going to <see cref="Rest"/>. A full fence. False: the others are idle
    /// already, or the group stops.
    /// </summary>
    internal bool TryAnnounce(Processor processor, Worker worker)
    {
        lock (_lock)
        {
            if (_closed || _count >= processorCount - 1)
            {
                return false;
            }

            processor.IsIdle = true;
            _idle.Push((processor, worker));
            Volatile.Write(ref _count, _idle.Count);
        }

        return true;
    }

    /// <summary>Returns when the processor is active again.</summary>
    internal static void Rest(Processor processor, Worker worker)
    {
        processor.Forget();
        while (processor.IsIdle)
        {
            // A worker can be unparked for reasons that are over.
            worker.Park(-1);
        }
    }

    /// <summary>Any thread. False: none is idle.</summary>
    internal bool TryWakeOne()
    {
        if (Count == 0)
        {
            return false;
        }

        Worker worker;
        lock (_lock)
        {
            if (!_idle.TryPop(out (Processor Processor, Worker Worker) top))
            {
                return false;
            }

            worker = top.Worker;
            Volatile.Write(ref _count, _idle.Count);
            top.Processor.IsIdle = false;
        }

        worker.Unpark();
        return true;
    }

    internal void WakeAll()
    {
        while (TryWakeOne())
        {
        }
    }

    /// <summary>The group stops: all wake up, and none goes idle any more.</summary>
    internal void Close()
    {
        lock (_lock)
        {
            _closed = true;
        }

        WakeAll();
    }
}
