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
///   in a managed wait at two looks in a row       work waits, or nobody sleeps who would take new work; else after 10 ms
///   asleep in the kernel, 1 ms after it was seen  the same (50 µs, if that has happened within the last 10 ms)
///   computing                                     10 ms after it was seen, if work waits
/// </code>
/// <para>Work that the turn has left to its own end (<see cref="Turn.HasDeferredWork"/>) counts as work that waits.</para>
/// <para>How often it looks: see <see cref="MonitorPace"/>.</para>
/// </remarks>
internal sealed class SystemMonitor
{
    internal const long KernelWaitNanoseconds = 1 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long KernelWaitInSwarmNanoseconds = 50_000;
    internal const long SwarmNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long LongTurnNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;

    private const long TimerSlackNanoseconds = 1000;

    private readonly SystemCalls _systemCalls;
    private readonly BlockedTurnProbe _probe;
    private readonly Parker _parker;
    private readonly MonitorPace _pace = new();
    private readonly Thread _thread;

    // Set once, before the thread starts.
    private Watched[] _watched = [];
    private WorkerGroup[] _groups = [];
    private volatile bool _stopping;

    // The monitor's own: until then, handlers that sleep in the kernel are taken to come in swarms, and asking the kernel pays sooner. With
    // 2 processors, 2,000 of them in a second would otherwise take all the time there is, just by being waited for.
    private long _swarmUntil;

    internal SystemMonitor(string name, SystemCalls systemCalls, BlockedTurnProbe? probe = null)
    {
        _systemCalls = systemCalls;
        _probe = probe ?? new BlockedTurnProbe(systemCalls);
        _parker = new Parker(systemCalls);
        _thread = new Thread(Loop) { IsBackground = true, Name = $"{name} monitor" };
    }

    /// <summary>Nobody looks after turns any more. Any thread.</summary>
    internal bool IsStopping => _stopping;

    /// <summary>Whom to watch. Once, before <see cref="Start"/>, or before the first <see cref="Look"/> of a test.</summary>
    internal void Watch(ReadOnlySpan<WorkerGroup> groups)
    {
        _groups = groups.ToArray();
        _watched = [.. _groups.SelectMany(static group => group.Processors.Select(processor => new Watched(group, processor)))];
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

    /// <summary>A worker has begun a turn, with a full fence. The monitor does not doze while a turn runs.</summary>
    internal void OnTurnBegun()
    {
        if (_pace.IsDozing)
        {
            Hurry();
        }
    }

    /// <summary>The last sleeping worker of a group has woken up, with a full fence: from now on a blocked turn keeps work waiting.</summary>
    internal void OnNobodyAsleep()
    {
        if (_pace.IsSlow)
        {
            Hurry();
        }
    }

    /// <summary>
    /// A turn has left work to its end: if it blocks now, that must not wait for long. Should the monitor become slow at this very moment,
    /// it waits for one of its pauses, 10 ms at most.
    /// </summary>
    internal void OnWorkDeferred()
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
        foreach (Watched watched in _watched)
        {
            LookAt(watched, now, ref findings);
        }

        findings.EveryGroupHasSleeper = EveryGroupHasSleeper();
        return findings;
    }

    private void LookAt(Watched watched, long now, ref MonitorFindings findings)
    {
        Processor processor = watched.Processor;
        long state = processor.State;
        if (!Processor.IsInTurn(state) || processor.Holder is not { } worker)
        {
            watched.Waits = false;
            return;
        }

        findings.TurnRuns = true;
        bool waits = _probe.IsInManagedWait(worker);
        if (state != watched.State)
        {
            watched.State = state;
            watched.Since = now;
            watched.NextKernelLook = now + KernelWait(now);
            watched.Waits = waits;
            findings.Suspicion |= waits;
            return;
        }

        watched.Group.OnTurnLasts(now, now - watched.Since);
        bool blocked = waits && watched.Waits;
        bool inKernel = false;
        findings.Suspicion |= waits && !watched.Waits;
        watched.Waits = waits;
        if (!waits && now >= watched.NextKernelLook)
        {
            watched.NextKernelLook = now + KernelWait(now);
            blocked = inKernel = _probe.IsInKernelWait(worker);
        }

        if (!ShouldHandOff(watched, processor, blocked, isLong: now - watched.Since >= LongTurnNanoseconds))
        {
            return;
        }

        if (watched.Group.TryHandOff(processor, state))
        {
            findings.HandedOff = true;
            _swarmUntil = inKernel ? now + SwarmNanoseconds : _swarmUntil;
        }
        else
        {
            findings.Refused = true;
            DoDeferredWorkElsewhere(watched, state);
        }
    }

    // There is no worker to take over, but what the turn has deferred must not wait for one. As often as it defers something, usually one
    // at a time; more do no harm.
    private static void DoDeferredWorkElsewhere(Watched watched, long state)
    {
        if (watched.Processor.Current is { HasDeferredWork: true } turn
            && watched.Processor.State == state
            && watched.Relieved != turn)
        {
            watched.Relieved = turn;
            ThreadPool.UnsafeQueueUserWorkItem(
                static item =>
                {
                    Worker.RunGuarded(new DeferredWork(item.turn));

                    // What has been deferred meanwhile the next look finds. Unless another turn is being relieved by now.
                    item.watched.EndRelief(item.turn);
                },
                (watched, turn),
                preferLocal: false);
        }
    }

    private long KernelWait(long now) => now < _swarmUntil ? KernelWaitInSwarmNanoseconds : KernelWaitNanoseconds;

    private static bool ShouldHandOff(Watched watched, Processor processor, bool blocked, bool isLong)
    {
        WorkerGroup group = watched.Group;
        if (!blocked && !isLong)
        {
            return false;
        }

        if (group.IsWorkWaiting(processor) || processor.Current is { HasDeferredWork: true })
        {
            return true;
        }

        // Nothing waits that can be seen from here. If nobody waits for events, there may be some.
        bool nobodyAsleep = group.Sleepers == 0;
        return blocked ? nobodyAsleep || isLong : nobodyAsleep && group.Poller.HasEvents;
    }

    private bool EveryGroupHasSleeper()
    {
        foreach (WorkerGroup group in _groups)
        {
            if (group.Sleepers == 0)
            {
                return false;
            }
        }

        return true;
    }

    private bool NoTurnRuns()
    {
        foreach (Watched watched in _watched)
        {
            if (Processor.IsInTurn(watched.Processor.State))
            {
                return false;
            }
        }

        return true;
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

            // Announced, with a full fence; now look once more. A worker does it the other way round.
            if ((_pace.IsDozing && !NoTurnRuns()) || (_pace.IsSlow && !EveryGroupHasSleeper()))
            {
                if (_pace.TryHurry())
                {
                    _pace.OnHurried();
                    pause = MonitorPace.Hurried;
                }
            }

            if (_parker.Park(pause))
            {
                _pace.OnHurried();
            }
        }
    }

    // What the monitor remembers of a processor; its own unless it says otherwise.
    private sealed class Watched(WorkerGroup group, Processor processor)
    {
        private Turn? _relieved;

        internal WorkerGroup Group { get; } = group;

        internal Processor Processor { get; } = processor;

        /// <summary>The turn that was seen last, and when it was seen first.</summary>
        internal long State { get; set; }

        internal long Since { get; set; }

        internal long NextKernelLook { get; set; }

        /// <summary>The turn whose deferred work was given to the thread pool, which is not done with it. Written by the monitor.</summary>
        internal Turn? Relieved
        {
            get => Volatile.Read(ref _relieved);
            set => Volatile.Write(ref _relieved, value);
        }

        /// <summary>It was in a managed wait at the last look.</summary>
        internal bool Waits { get; set; }

        /// <summary>By the thread pool.</summary>
        internal void EndRelief(Turn turn) => Interlocked.CompareExchange(ref _relieved, null, turn);
    }
}

/// <summary>What the monitor has seen and done at one look.</summary>
internal struct MonitorFindings
{
    /// <summary>A processor has got another worker, or its turn had ended when it was to get one.</summary>
    internal bool HandedOff { get; set; }

    /// <summary>A processor was to get another worker, and there is none. Changes nothing about the next look.</summary>
    internal bool Refused { get; set; }

    /// <summary>A turn waits that did not at the last look: soon one will know.</summary>
    internal bool Suspicion { get; set; }

    internal bool TurnRuns { get; set; }

    internal bool EveryGroupHasSleeper { get; set; }
}
