using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many processors share the work. A group that is busy with short turns keeps as few of them active as can do it. If all of them
/// waited for events, each event would wake one that sleeps again a few microseconds later. Waking costs more than the turn.
/// </summary>
/// <remarks>
/// <code>
///   the group is   a processor that finds nothing to do   when
///   spread         waits for events                       turns are long, or block again and again (100 ms long after each sign of
///                                                         it); or there is little to do
///   gathered       goes idle, if another one is active    processors fall asleep every few microseconds
/// </code>
/// In a gathered group one processor at most waits for events, most of the time. An idle one becomes active when
/// <list type="bullet">
/// <item>an active one cannot keep up. That is: for 5 ms, each of its looks found a full batch, or several events that were there before
/// it could fall asleep, or turns in the group's queue;</item>
/// <item>the monitor finds one in the same turn twice, and nobody waiting for events. After a millisecond of it the group counts as
/// spread, so that who is active waits for events;</item>
/// <item>the group is spread again.</item>
/// </list>
/// Nothing is lost meanwhile: at least one processor is active, and looks at everything, in turns or before it sleeps. If its turn does
/// not end, the monitor helps, which does not doze while a turn runs.
/// </remarks>
internal sealed partial class WorkerGroup
{
    private const long SpreadTime = 100 * MonotonicClock.NanosecondsPerMillisecond;
    private const int SharedBatch = 2;
    private const long GatheredTime = LoadMeter.LongSleep;

    // A busy machine stops threads in the middle of turns all the time, but seldom for so long.
    private const long LastingTurn = 1 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly IdleProcessors _idle;
    private readonly bool _gathers;
    private readonly bool _metersLoad;

    // A turn that waits for a collection to begin, or is stopped by a busy machine, looks blocked once in a while. Turns that block come
    // more often.
    private const long SeldomHandOff = 25 * MonotonicClock.NanosecondsPerMillisecond;

    // The monitor's.
    private long _lastHandOff;

    // Times; any worker, and the monitor. Of the first whoever writes last is right enough; of the second, who writes the latest.
    private long _gatheredUntil;
    private long _spreadUntil;

    internal IdleProcessors Idle => _idle;

    /// <summary>For the monitor: the holder of a processor stays in a turn. Somebody else may be needed, and soon must wait for
    /// events.</summary>
    internal void OnTurnLasts(long now, long nanoseconds)
    {
        if (nanoseconds >= LastingTurn)
        {
            SpreadUntil(now + GatheredTime);
        }

        if (Sleepers == 0)
        {
            _idle.TryWakeOne();
        }
    }

    // What one worker has fetched, the others can only steal. Where turns are short, or there are no others, many at once cost less.
    private void LimitBatch(Processor processor) =>
        processor.Batch.Limit = processor.IsGathered || _idle.Count == _processors.Length - 1
            ? processor.Batch.Capacity
            : Math.Min(SharedBatch, processor.Batch.Capacity);

    private bool TurnsAreLong(Processor processor) => _metersLoad && processor.Load.TurnsAreLong;

    private bool IsGathered(long now) => _gathers && now < Volatile.Read(ref _gatheredUntil) && now >= Volatile.Read(ref _spreadUntil);

    // Every processor is needed: others must not wait for the turns that run now.
    private void Spread(long now)
    {
        SpreadUntil(now + SpreadTime);
        Interlocked.MemoryBarrier();
        _idle.WakeAll();
    }

    // One alone is no sign that turns block: who is idle comes, and may go idle again.
    private void SpreadAfterHandOff(long now)
    {
        bool isSeldom = now - _lastHandOff > SeldomHandOff;
        _lastHandOff = now;
        if (isSeldom)
        {
            SpreadUntil(now + GatheredTime);
            Interlocked.MemoryBarrier();
            _idle.WakeAll();
        }
        else
        {
            Spread(now);
        }
    }

    private void SpreadUntil(long time)
    {
        long seen = Volatile.Read(ref _spreadUntil);
        while (time > seen)
        {
            long before = Interlocked.CompareExchange(ref _spreadUntil, time, seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }

    // Instead of a sleep. False: sleep, after all.
    private bool TryRest(Processor processor, out long now)
    {
        now = MonotonicClock.Now;
        if (processor.Load.OnSleep(now))
        {
            Volatile.Write(ref _gatheredUntil, now + GatheredTime);
        }

        if (TurnsAreLong(processor))
        {
            processor.IsGathered = false;
            Spread(now);
            return false;
        }

        processor.IsGathered = IsGathered(now);
        if (Monitor is null
            || !processor.IsGathered
            || _current.Value is not { } worker
            || !_idle.TryAnnounce(processor, worker))
        {
            return false;
        }

        // What it would have slept for may be nobody's now: a deadline that is earlier than the end of the others' sleeps, above all.
        PassOn(processor, nextFromOwnQueue: false);

        // Whoever has spread the group in between may not have seen this one among the idle. The other side of Spread's fence; this one's
        // is the announcement.
        if (!IsGathered(now))
        {
            _idle.WakeAll();
        }

        IdleProcessors.Rest(processor, worker);
        now = MonotonicClock.Now;
        processor.Load.OnWoken(now);
        processor.IsGathered = IsGathered(now);

        // It was woken because there is more than others can do, perhaps events that nobody has fetched: it looks before it rests again.
        processor.GroupTurnsSincePoll = GroupTurnsBetweenPolls;
        return true;
    }

    // One turn in the group's queue may be an upload that has had its share: nobody else need come for it.
    private void OnPolled(Processor processor) =>
        OnPolled(processor, MonotonicClock.Now, full: processor.Batch.IsFull || _queue.Count > 1);

    private void OnPolled(Processor processor, long now, bool full)
    {
        if (processor.Load.OnPolled(now, full))
        {
            Volatile.Write(ref _gatheredUntil, now + GatheredTime);
            _idle.TryWakeOne();
        }

        // A processor that always finds turns in the group's queue never gets as far as to rest, where this is asked otherwise.
        if (TurnsAreLong(processor) && _idle.Count != 0)
        {
            Spread(now);
        }

        processor.IsGathered = IsGathered(now);
    }
}
