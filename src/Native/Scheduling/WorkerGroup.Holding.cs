namespace KestrelNetpoll.Native.Scheduling;

/// <summary>Output that is held outside of turns: the monitor sees to it that none is forgotten. See <see cref="HeldOutput"/>.</summary>
internal sealed partial class WorkerGroup
{
    // Pushed by any thread, taken by the monitor, and at the end.
    private TurnList<HeldOutput> _held;

    /// <summary>
    /// For code outside of turns: the monitor sends the output when it is due, at the next look after that. The owner has set
    /// <see cref="HeldOutput.DueAt"/> before, and calls <see cref="SystemMonitor.OnHeld"/> afterwards, without its lock. False: nobody
    /// would, so that the owner must send it. Any thread.
    /// </summary>
    internal bool TryHoldUntil(HeldOutput output)
    {
        if (Monitor is not { IsStopping: false } monitor)
        {
            return false;
        }

        if (output.TryList())
        {
            _held.Push(output);
        }

        // The monitor stops, and then the list is emptied; this is the other way round.
        return !monitor.IsStopping;
    }

    /// <summary>For the monitor: is anything held, by code outside of turns or inside of one? It may be a moment old.</summary>
    internal bool HoldsOutput()
    {
        if (!_held.IsEmpty)
        {
            return true;
        }

        foreach (Processor processor in _processors)
        {
            if (processor.Holder is { HoldsOutput: true })
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>For the monitor. True: output is held that is not due yet.</summary>
    internal bool LookAtHeld(long now)
    {
        bool any = false;
        HeldOutput? outputs = _held.TakeAll();
        while (outputs is { } output)
        {
            outputs = output.Next;
            output.Next = null;
            long due = output.DueAt;
            if (due != 0 && due <= now)
            {
                SendElsewhere(output);
                continue;
            }

            if (due == 0)
            {
                // The owner may have held something in between, and have found it listed.
                output.Unlist();
                if (output.DueAt == 0 || !output.TryList())
                {
                    continue;
                }
            }

            any = true;
            _held.Push(output);
        }

        return any;
    }

    /// <summary>
    /// Lets a worker send what was held for too long, or the thread pool, if no worker is there at once. Both may do so in the end. Any
    /// thread; the caller has taken the chain off its list.
    /// </summary>
    internal void SendElsewhere(HeldOutput? outputs)
    {
        while (outputs is { } output)
        {
            outputs = output.Next;
            output.Next = null;
            output.Unlist();
            if (Sleepers == 0)
            {
                ThreadPoolQueue.Add(output);
            }

            Schedule(output);
        }
    }

    /// <summary>Once the monitor has stopped, and nobody looks any more: also what turns hold, which may block.</summary>
    internal void SendAllHeld()
    {
        LeaveToThreadPool(_held.TakeAll());
        foreach (Processor processor in _processors)
        {
            LeaveToThreadPool(processor.Holder?.TakeHeld());
        }
    }

    private static void LeaveToThreadPool(HeldOutput? outputs)
    {
        while (outputs is { } output)
        {
            outputs = output.Next;
            output.Next = null;
            output.Unlist();
            ThreadPoolQueue.Add(output);
        }
    }
}
