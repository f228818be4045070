using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>How the holder of a processor waits for events once it has found nothing to do: awake for a moment, if that pays, then
/// asleep.</summary>
internal sealed partial class WorkerGroup
{
    // About a microsecond: the kernel, and the CPU's other thread, have something to do as well.
    private const int SpinsBetweenPolls = 30;

    private readonly bool _busyPolls;

    /// <summary>Announces a sleep. False: there is something to do, do not sleep.</summary>
    internal bool TryBeginSleep(Processor processor, out long until)
    {
        until = Poller.Deadlines.Earliest;
        processor.SleepsUntil = until;
        Interlocked.Increment(ref _sleepers);
        if (_queue.IsEmpty && Poller.Deadlines.Earliest >= until && !Stopping && FindVictim(processor) is null)
        {
            return true;
        }

        EndSleep(processor);
        return false;
    }

    internal void EndSleep(Processor processor)
    {
        processor.SleepsUntil = Processor.Awake;
        if (Interlocked.Decrement(ref _sleepers) == 0)
        {
            Monitor?.OnNobodyAsleep();
        }
    }

    private void Sleep(Processor processor, long now)
    {
        if (!TryBeginSleep(processor, out long until))
        {
            return;
        }

        processor.Forget();
        Fetch(processor, until == DeadlineHeap.None ? -1 : Math.Max(0, until - now));
        EndSleep(processor);
        long woken = MonotonicClock.Now;
        processor.BusyPolling.OnSlept(woken - now);
        if (processor.Batch.Count > 1 && processor.Load.IsNoSleep(woken))
        {
            // The events were there already, and others could have taken some: as good as a full batch.
            OnPolled(processor, woken, full: true);
        }
        else if (processor.Load.OnWoken(woken))
        {
            _idle.WakeAll();
        }

        Dispatch(processor);
    }

    /// <summary>
    /// Looks for something to do for a moment. Only where one serves the events of all: several would poll for the same ones. It is no
    /// sleeper, so that nobody signals it; it looks at everything itself. True: there may be something to do.
    /// </summary>
    internal bool TryBusyPoll(Processor processor, ref long now)
    {
        if (!_busyPolls
            || !processor.IsGathered
            || _idle.Count != _processors.Length - 1
            || !processor.BusyPolling.IsWorthwhile(processor.Load.WorkedFor))
        {
            return false;
        }

        long end = now + BusyPolling.Longest;
        for (bool first = true; first || now < end; first = false)
        {
            Thread.SpinWait(SpinsBetweenPolls);
            Fetch(processor, timeoutNanoseconds: 0);
            now = MonotonicClock.Now;
            if (first && processor.Batch.Count > 1)
            {
                // As in Sleep: it did not have to wait.
                OnPolled(processor, now, full: true);
                Dispatch(processor);
                return true;
            }

            if (processor.Batch.Count != 0 || HasWork(processor, now))
            {
                processor.BusyPolling.OnFound();
                processor.Load.OnWoken(now);
                Dispatch(processor);
                return true;
            }
        }

        processor.BusyPolling.OnFoundNothing();
        return false;
    }

    private bool HasWork(Processor processor, long now) =>
        !_queue.IsEmpty || Poller.Deadlines.Earliest <= now || Stopping || FindVictim(processor) is not null;
}
