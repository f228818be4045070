using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The workers' side: where the holder of a processor finds its next turn. In this order: its own queue; the group's; the poller, without
/// waiting, if there is something to steal; the other processors' queues; and then it waits for events, until the next deadline. Every 61st
/// turn, and after one that has sent much, the group's queue comes first. After 16 turns from there the others are looked at and the
/// poller, so that none of them starves the rest.
/// </summary>
internal sealed partial class WorkerGroup
{
    /// <summary>A value of <see cref="Processor.Tick"/> with which the next turn is looked for in the group's queue first.</summary>
    internal const uint TickBeforeGroupLook = TurnsBetweenGroupLooks - 1;

    private const uint TurnsBetweenGroupLooks = 61;
    private const int GroupTurnsBetweenPolls = 16;

    internal bool TryTakeTurn(Processor processor, out Turn? turn)
    {
        bool mayTakeFromGroup = processor.GroupTurnsSincePoll < GroupTurnsBetweenPolls;
        if (++processor.Tick % TurnsBetweenGroupLooks == 0 && mayTakeFromGroup && _queue.TryDequeue(out turn))
        {
            processor.GroupTurnsSincePoll++;
            PassOn(processor, nextFromOwnQueue: false);
            return true;
        }

        if (processor.Queue.TryPop(out turn))
        {
            return true;
        }

        if (mayTakeFromGroup && _queue.TryDequeue(out turn))
        {
            processor.GroupTurnsSincePoll++;
            PassOn(processor);
            return true;
        }

        turn = null;
        return false;
    }

    /// <summary>Fills the queue of a processor that has found nothing, or sleeps until there may be something.</summary>
    internal void FindWork(Processor processor)
    {
        if (processor.GroupTurnsSincePoll >= GroupTurnsBetweenPolls || processor.Batch.IsFull)
        {
            // There is more where a full batch came from: asking for it is no sleep, and does not look like one.
            Poll(processor);
        }
        else if (FindVictim(processor) is not null)
        {
            // Fresh events first: whoever is stolen from would have run its own soon.
            Poll(processor);
            if (processor.Queue.IsEmpty)
            {
                Steal(processor);
            }
        }
        else if (!TryRest(processor, out long now) && !TryBusyPoll(processor, ref now))
        {
            Sleep(processor, now);
        }
    }

    /// <summary>
    /// Queues what is due, no more than a batch at a time (before each turn): the rest is still due, so that somebody is woken for it, or
    /// comes back at once.
    /// </summary>
    internal void FireDeadlines(Processor processor)
    {
        DeadlineHeap deadlines = Poller.Deadlines;
        if (deadlines.Earliest == DeadlineHeap.None)
        {
            return;
        }

        long now = MonotonicClock.Now;
        ReadyList ready = processor.Ready;
        bool fired = false;
        while (ready.Count < processor.Batch.Capacity && deadlines.TryTakeExpired(now, out DeadlineTimer timer, out uint sequence))
        {
            fired = true;
            DeadlineOutcome outcome = DeadlineOutcome.Timer;
            ready.Add(timer is TurnTimer turnTimer ? turnTimer.Turn : ((PollDeadline)timer).Fire(sequence, now, out outcome));
            processor.Counters.Deadlines[(int)outcome]++;
        }

        if (fired && ready.Count == 0)
        {
            // It was re-armed later, and a worker that fell asleep in between may have seen none. This one may run a turn next.
            PassOn(processor);
        }

        QueueReady(processor);
    }

    /// <summary>A worker is about to run a turn: somebody must look after what it leaves behind.</summary>
    /// <param name="processor">What the worker holds.</param>
    /// <param name="nextFromOwnQueue">The turn is still in the processor's queue, if there is one: one there is not left behind.</param>
    internal void PassOn(Processor processor, bool nextFromOwnQueue = true)
    {
        // The publisher's fence of what is in the processor's own queue. What it finds there it was signalled for, or has just put there.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _sleepers) != 0 && LeavesWork(processor, nextFromOwnQueue))
        {
            Poller.Wake();
        }
    }

    // The other processors' queues, too: this worker may have been woken for them, and signals coalesce.
    private bool LeavesWork(Processor processor, bool nextFromOwnQueue) =>
        !_queue.IsEmpty
        || processor.Queue.Count > (nextFromOwnQueue ? 1 : 0)
        || FindVictim(processor) is not null
        || !IsNextDeadlineCovered();

    /// <summary>For the monitor: is there something in the group's queue?</summary>
    internal bool HasQueuedWork => !_queue.IsEmpty;

    /// <summary>For the monitor: is there a turn that nobody runs, as far as one can see without asking the kernel?</summary>
    internal bool IsWorkWaiting(Processor processor) =>
        !_queue.IsEmpty || !processor.Queue.IsEmpty || Poller.Deadlines.Earliest <= MonotonicClock.Now;

    /// <summary>For the holder of a processor, inside a turn: is there anything else that it could do? Asks the kernel, if nothing is
    /// queued.</summary>
    internal bool KeepsWaiting(Processor processor) => IsWorkWaiting(processor) || Poller.HasEvents;

    // A full queue's turns go to the group: the oldest half of it would be fairer, but that takes hundreds of deadlines that are due at
    // once.
    private void QueueReady(Processor processor)
    {
        ReadyList ready = processor.Ready;
        if (ready.Count == 0)
        {
            return;
        }

        for (int i = 0; i < ready.Count; i++)
        {
            var turn = (Turn)ready.Take(i);
            if (!processor.Queue.TryPush(turn))
            {
                _queue.Enqueue(turn);
            }
        }

        ready.Clear();
        PassOn(processor);
    }

    private void Poll(Processor processor)
    {
        Fetch(processor, timeoutNanoseconds: 0);
        OnPolled(processor);
        Dispatch(processor);
    }

    private void Fetch(Processor processor, long timeoutNanoseconds)
    {
        processor.GroupTurnsSincePoll = 0;
        LimitBatch(processor);
        Poller.Wait(processor.Batch, timeoutNanoseconds);
    }

    // Here the looks are counted, and not where they are made: those of busy polling are many, and in vain but for the last.
    private void Dispatch(Processor processor)
    {
        processor.Counters.Polls++;
        processor.Counters.Events += processor.Batch.Count;
        for (int i = 0; i < processor.Batch.Count; i++)
        {
            if (!Poller.Dispatch(in processor.Batch[i], processor.Ready))
            {
                processor.Counters.StaleEvents++;
            }
            else if (processor.Ready.TakeUnread() is UnreadInput input)
            {
                OnUnread(input);
            }
        }

        QueueReady(processor);
    }

    private void Steal(Processor thief)
    {
        if (FindVictim(thief) is { } victim)
        {
            thief.Counters.StolenTurns += victim.Queue.StealInto(thief.Queue);
            PassOn(thief);
        }
    }

    // Everybody begins with its neighbour, so that thieves spread.
    private Processor? FindVictim(Processor thief)
    {
        for (int i = 1; i < _processors.Length; i++)
        {
            Processor other = _processors[(thief.Id + i) % _processors.Length];
            if (!other.Queue.IsEmpty)
            {
                return other;
            }
        }

        return null;
    }

    // Is somebody asleep who wakes up in time for the earliest deadline?
    private bool IsNextDeadlineCovered()
    {
        long earliest = Poller.Deadlines.Earliest;
        if (earliest == DeadlineHeap.None)
        {
            return true;
        }

        foreach (Processor processor in _processors)
        {
            if (processor.SleepsUntil <= earliest)
            {
                return true;
            }
        }

        return false;
    }
}
