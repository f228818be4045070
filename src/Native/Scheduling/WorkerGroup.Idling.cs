using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many processors share the work. A group that is busy with short turns keeps as few of them active as can do it: if all of them waited
/// for events, each event would wake one that sleeps again a few microseconds later, and waking costs more than the turn.
/// </summary>
/// <remarks>
/// <code>
///   the group is   a processor that finds nothing to do   when
///   spread         waits for events                       turns are long, or block (100 ms long after each sign of it); or there is little to do
///   gathered       goes idle, if another one is active    processors fall asleep every few microseconds
/// </code>
/// In a gathered group one processor at most waits for events, most of the time, and an idle one becomes active when
/// <list type="bullet">
/// <item>one that has been awake for a millisecond still finds more events than it takes at once;</item>
/// <item>the monitor finds one in the same turn twice, and nobody waiting for events;</item>
/// <item>the group is spread again.</item>
/// </list>
/// Nothing is lost meanwhile: at least one processor is active, and looks at everything before it sleeps. If it is inside a turn that does
/// not end, it is the monitor that helps, which does not doze while a turn runs.
/// </remarks>
internal sealed partial class WorkerGroup
{
    private const long SpreadTime = 100 * MonotonicClock.NanosecondsPerMillisecond;
    private const int SharedBatch = 2;
    private const long GatheredTime = LoadMeter.LongSleep;

    private readonly IdleProcessors _idle;

    // Times; any worker, and the monitor. Whoever writes last is right enough.
    private long _gatheredUntil;
    private long _spreadUntil;

    internal int IdleProcessorCount => _idle.Count;

    /// <summary>For the monitor: the holder of a processor stays in a turn. Somebody else may be needed.</summary>
    internal void OnTurnLasts()
    {
        if (Sleepers == 0)
        {
            _idle.TryWakeOne();
        }
    }

    // What one worker has fetched, the others can only steal. Where there are no others, many at once cost less.
    private void LimitBatch(Processor processor) =>
        processor.Batch.Limit = _idle.Count == _processors.Length - 1 ? processor.Batch.Capacity : Math.Min(SharedBatch, processor.Batch.Capacity);

    // Every processor is needed: others must not wait for the turns that run now.
    private void Spread(long now)
    {
        Volatile.Write(ref _spreadUntil, now + SpreadTime);
        _idle.WakeAll();
    }

    // Instead of a sleep. False: sleep, after all.
    private bool TryRest(Processor processor, out long now)
    {
        now = MonotonicClock.Now;
        if (processor.Load.OnSleep(now))
        {
            Volatile.Write(ref _gatheredUntil, now + GatheredTime);
        }

        if (processor.Load.TurnsAreLong)
        {
            Spread(now);
            return false;
        }

        if (Monitor is null
            || now >= Volatile.Read(ref _gatheredUntil)
            || now < Volatile.Read(ref _spreadUntil)
            || _current.Value is not { } worker
            || !_idle.TryAnnounce(processor, worker))
        {
            return false;
        }

        // What it would have slept for may be nobody's now: a deadline that is earlier than the end of the others' sleeps, above all.
        PassOn(processor, nextFromOwnQueue: false);
        IdleProcessors.Rest(processor, worker);
        processor.Load.OnWoken(MonotonicClock.Now);
        return true;
    }

    private void OnWoken(Processor processor)
    {
        if (processor.Load.OnWoken(MonotonicClock.Now))
        {
            _idle.WakeAll();
        }
    }

    private void OnPolled(Processor processor)
    {
        long now = MonotonicClock.Now;
        if (processor.Load.OnPolled(now, processor.Batch.IsFull))
        {
            Volatile.Write(ref _gatheredUntil, now + GatheredTime);
            _idle.TryWakeOne();
        }
    }
}
