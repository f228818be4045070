using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// A thread that looks after the workers: Go's sysmon. It sees that a turn is blocked, and hands the processor of its worker on, so that
/// everything else goes on as if nothing had happened. One for all groups of a runtime.
/// </summary>
/// <remarks>
/// <para>What it does about a processor, each time it looks:</para>
/// <code>
///   the processor is                              hands it on when
///   -------------------------------------------   ---------------------------------------------------------------------
///   between turns, or in a turn not seen before   never
///   in the same managed wait at two looks         work waits, or nobody sleeps who would take new work; else after 10 ms
///   in one, where waits are short (ShortWaits)    the same, once it has been in the same wait for 1 ms
///   asleep in the kernel, 1 ms after it was seen  the same (50 µs, if that has happened within the last 10 ms)
///   computing                                     if work waits: 10 ms after it was seen; 1.5 ms if it has had a processor of the machine
///                                                 for half of the last millisecond, and not too many do so already
///   in one short wait after the other             if work waits: 10 ms after it was seen, if not too many do so already; else 100 ms
/// </code>
/// <para>It is the same wait if the thread has had no time on a processor of the machine in between.</para>
/// <para>The rule for turns that compute lets the kernel share the machine's processors out among long turns and short ones, as it does for
/// any threads. A turn that was only stopped by the kernel gains nothing from a thread more; nor do hundreds that compute
/// (<see cref="WorkerGroup.MayDetach"/>).</para>
/// <para>Output that a turn holds (<see cref="HeldOutput"/>) goes with the processor that is handed on. If a turn that is blocked keeps its
/// processor, or has held it for 0.2 ms, others send the output. So they do with what is held outside of turns, when it is due.</para>
/// <para>How often it looks: see <see cref="MonitorPace"/>.</para>
/// </remarks>
internal sealed partial class SystemMonitor
{
    internal const long KernelWaitNanoseconds = 1 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long KernelWaitInSwarmNanoseconds = 50_000;
    internal const long SwarmNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long LongTurnNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;

    /// <summary>From when on a turn of many short waits is handed on, whatever others do.</summary>
    internal const long RestlessTurnNanoseconds = 10 * LongTurnNanoseconds;

    /// <summary>From when on the kernel is asked whether a turn computes.</summary>
    internal const long ComputingNanoseconds = MonotonicClock.NanosecondsPerMillisecond / 2;

    /// <summary>Between its first answer, and the one that counts.</summary>
    internal const long ComputingWindow = 1 * MonotonicClock.NanosecondsPerMillisecond;

    /// <summary>A turn does not keep what it has held for longer. A busy machine stops turns for less all the time.</summary>
    internal const long HoldNanoseconds = 200_000;

    private const long TimerSlackNanoseconds = 1000;

    private readonly SystemCalls _systemCalls;
    private readonly BlockedTurnProbe _probe;
    private readonly Parker _parker;
    private readonly MonitorPace _pace;
    private readonly Thread _thread;

    // The monitor's own: how long collections had stopped turns at the last look.
    private long _paused;

    // Set once, before the thread starts.
    private WatchedProcessor[] _watched = [];
    private WorkerGroup[] _groups = [];
    private volatile bool _stopping;

    // The monitor's own: until then, handlers that sleep in the kernel are taken to come in swarms, and asking the kernel pays sooner. With
    // 2 processors, 2,000 of them in a second would otherwise take all the time there is, just by being waited for.
    private long _swarmUntil;

    internal SystemMonitor(
        string name,
        SystemCalls systemCalls,
        BlockedTurnProbe? probe = null,
        IMonitorObserver? observer = null,
        bool adaptsPace = true)
    {
        _pace = new MonitorPace(adaptsPace);
        _systemCalls = systemCalls;
        _probe = probe ?? new BlockedTurnProbe(systemCalls);
        _observer = observer;
        _blockedTurns = BlockedTurnWatch.Create(observer, _probe);
        ShortWaits = new ShortWaits(_probe);
        _parker = new Parker(systemCalls);
        _thread = new Thread(Loop) { IsBackground = true, Name = $"{name} monitor" };
    }

    internal ShortWaits ShortWaits { get; }

    /// <summary>Nobody looks after turns any more. Any thread.</summary>
    internal bool IsStopping => _stopping;

    /// <summary>Whom to watch. Once, before <see cref="Start"/>, or before the first <see cref="Look"/> of a test.</summary>
    internal void Watch(ReadOnlySpan<WorkerGroup> groups)
    {
        _groups = groups.ToArray();
        _watched = [.. _groups.SelectMany(static group => group.Processors.Select(processor => new WatchedProcessor(group, processor)))];
    }

    internal void Start() => _thread.UnsafeStart();

    /// <summary>Ends the thread, and waits for it: it runs nobody else's code.</summary>
    internal void Stop()
    {
        _stopping = true;
        _parker.Unpark();
        if ((_thread.ThreadState & ThreadState.Unstarted) == 0)
        {
            _thread.Join();
        }
    }

    /// <summary>
    /// A worker has begun a turn, or one waits for the thread pool, with a full fence. The monitor does not doze meanwhile.
    /// </summary>
    internal void OnTurnBegun()
    {
        if (_pace.IsDozing)
        {
            Hurry();
        }
    }

    /// <summary>The last sleeping worker of a group has woken up, with a full fence: from now on a blocked turn keeps work
    /// waiting.</summary>
    internal void OnNobodyAsleep()
    {
        if (_pace.IsSlow)
        {
            Hurry();
        }
    }

    /// <summary>Output is held, and listed, with a full fence: if it is still held after a moment, the monitor has to see to it.</summary>
    internal void OnHeld()
    {
        if (!_pace.IsFast)
        {
            Hurry();
        }
    }

    /// <summary>A turn has left work to the queue, without a signal to whoever sleeps, and is about to end. It may block instead.</summary>
    internal void OnYielded()
    {
        if (_pace.IsSlow)
        {
            Hurry();
        }
    }

    /// <summary>Looks at every processor once.</summary>
    /// <param name="now">On the monotonic clock.</param>
    /// <returns>What the next look depends on.</returns>
    internal MonitorFindings Look(long now)
    {
        MonitorFindings findings = default;

        // The monitor was stopped as well, so that it looks only now, at turns that the runtime has held up. That time is not theirs.
        long paused = _probe.Paused;
        long pause = paused - _paused;
        _paused = paused;
        ShortWaits.Sample(now);
        foreach (WatchedProcessor watched in _watched)
        {
            watched.Excuse(pause);
            LookAt(watched, now, pause, ref findings);
        }

        foreach (WorkerGroup group in _groups)
        {
            findings.OutputIsHeld |= group.LookAtHeld(now);

            // They are no worker's, and yet somebody has to go on looking.
            findings.TurnRuns |= group.Pooled.LookAt(now, pause);
        }

        _blockedTurns?.Look(now);
        findings.EveryGroupHasSleeper = EveryGroupHasSleeper();
        return findings;
    }

    private void LookAt(WatchedProcessor watched, long now, long pause, ref MonitorFindings findings)
    {
        Processor processor = watched.Processor;
        long state = processor.State;
        if (!Processor.IsInTurn(state) || processor.Holder is not { } worker)
        {
            watched.Waits = false;
            return;
        }

        findings.TurnRuns = true;
        bool holds = worker.HoldsOutput;
        findings.OutputIsHeld |= holds;
        bool holdsLong = holds && now - worker.HeldSince - pause >= HoldNanoseconds;
        bool waits = _probe.IsInManagedWait(worker);
        long cpuTime = waits ? _probe.GetCpuTime(worker) : 0;
        if (state != watched.State)
        {
            watched.State = state;
            watched.Since = now;
            watched.NextKernelLook = now + KernelWait(now);
            watched.CpuTimeAt = 0;
            watched.Waits = waits;
            watched.WaitCpuTime = cpuTime;
            watched.WaitSince = now;
            watched.IsRestless = false;
            watched.BlockedFor = 0;
            findings.Suspicion |= waits;
            if (holdsLong)
            {
                watched.Group.SendElsewhere(worker.TakeHeld());
            }

            return;
        }

        findings.TurnLasts = true;
        watched.Group.OnTurnLasts(now, now - watched.Since);
        _blockedTurns?.OnTurnLasts(watched, worker, now);
        bool sameWait = waits && watched.Waits && cpuTime == watched.WaitCpuTime;
        if (!sameWait)
        {
            watched.IsRestless |= waits && watched.Waits;
            watched.WaitSince = now;
        }

        bool isShortWait = now - watched.WaitSince < ShortWaits.ShortNanoseconds;
        bool blocked = sameWait && !(isShortWait && ShortWaits.Prevail);
        bool inKernel = false;
        bool runs = false;

        // Where waits are short, nothing is done about one that has been seen before until it is long: there is no hurry.
        findings.Suspicion |= waits && !blocked && !(watched.Waits && ShortWaits.Prevail);
        watched.Waits = waits;
        watched.WaitCpuTime = cpuTime;
        if (!waits && now >= watched.NextKernelLook)
        {
            watched.NextKernelLook = now + KernelWait(now);
            blocked = inKernel = _probe.IsInKernelWait(worker);
            runs = !inKernel;
        }

        bool computes = !waits && !blocked && Computes(watched, worker, now);
        bool isLong = now - watched.Since >= LongTurnNanoseconds;
        if (watched.IsRestless && !blocked && isLong)
        {
            // Another worker would, as likely as not, want the same lock.
            isLong = watched.Group.MayDetach || now - watched.Since >= RestlessTurnNanoseconds;
            computes = true;
        }

        if (!ShouldHandOff(watched, blocked, isLong, computes))
        {
            if (runs)
            {
                // It goes on, and keeps nobody waiting, whatever was refused before.
                processor.WantingState = 0;
            }

            if (holdsLong || (holds && blocked))
            {
                // It keeps its processor, since no other work waits; or it computes. Its output does not wait for that.
                watched.Group.SendElsewhere(worker.TakeHeld());
            }

            return;
        }

        HandOffReason reason = ReasonOf(watched, inKernel, blocked, computes);
        Turn? turn = _blockedTurns is null ? null : processor.Current;
        if (computes && !isLong && !watched.Group.MayGetWorker)
        {
            // It keeps its processor for the usual time: others are short of workers, too.
            findings.Refused = true;
            watched.Group.SendElsewhere(worker.TakeHeld());
        }
        else if (watched.Group.TryHandOff(processor, state, detaches: computes))
        {
            // Those that compute come one by one, and not in swarms.
            findings.HandedOff |= !computes;
            TellOfHandOff(watched, worker, turn, reason, now);
            if (sameWait && blocked)
            {
                NoteWait(worker, cpuTime, isShortWait, now);
            }

            _swarmUntil = inKernel ? now + SwarmNanoseconds : _swarmUntil;
        }
        else
        {
            findings.Refused = true;

            // There is no worker to take over; what the turn holds must not wait for one.
            watched.Group.SendElsewhere(worker.TakeHeld());
        }
    }

    private void NoteWait(Worker worker, long cpuTime, bool isShort, long now)
    {
        if (isShort)
        {
            ShortWaits.OnHandedOff(worker, cpuTime, now);
        }
        else
        {
            ShortWaits.OnLong();
        }
    }

    private long KernelWait(long now) => now < _swarmUntil ? KernelWaitInSwarmNanoseconds : KernelWaitNanoseconds;

    // Has the thread had a processor of the machine for half of the time at least, since it was first asked?
    private bool Computes(WatchedProcessor watched, Worker worker, long now)
    {
        if (now - watched.Since < ComputingNanoseconds)
        {
            return false;
        }

        if (watched.CpuTimeAt == 0)
        {
            watched.CpuTimeAt = now;
            watched.CpuTime = _probe.GetCpuTime(worker);
            return false;
        }

        long time = now - watched.CpuTimeAt;
        return time >= ComputingWindow && (_probe.GetCpuTime(worker) - watched.CpuTime) * 2 >= time;
    }

    private static bool ShouldHandOff(WatchedProcessor watched, bool blocked, bool isLong, bool computes)
    {
        WorkerGroup group = watched.Group;
        if (!blocked && !isLong && !(computes && group.MayDetach))
        {
            return false;
        }

        if (group.IsWorkWaiting(watched.Processor))
        {
            return true;
        }

        // Nothing waits that can be seen from here. If nobody waits for events, there may be some.
        bool nobodyAsleep = group.Sleepers == 0;
        return blocked ? nobodyAsleep || isLong : nobodyAsleep && group.Poller.HasEvents;
    }

    private void Hurry()
    {
        if (_pace.TryHurry())
        {
            _parker.Unpark();
        }
    }

    private void Loop()
    {
        // The default of 50 µs is more than the shortest pause.
        _systemCalls.SetTimerSlack(TimerSlackNanoseconds);
        while (!_stopping)
        {
            long pause = _pace.Next(Look(MonotonicClock.Now));

            // Announced, with a full fence; now look once more. A worker, and whoever holds output, does it the other way round.
            if ((_pace.IsDozing && !NoTurnRuns())
                || (_pace.IsSlow && !EveryGroupHasSleeper())
                || (!_pace.IsFast && OutputIsHeldOrWorkIsQueued()))
            {
                if (_pace.TryHurry())
                {
                    _pace.OnHurried();
                    pause = MonitorPace.Hurried;
                }
            }

            if (_blockedTurns is { Count: > 0 } blockedTurns)
            {
                pause = blockedTurns.Limit(pause, MonotonicClock.Now);
            }

            if (_parker.Park(pause))
            {
                _pace.OnHurried();
            }
        }
    }
}
