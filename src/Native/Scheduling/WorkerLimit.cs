using System.Globalization;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many worker threads a runtime may have, those that are blocked and the spares included: at most a number, and at most as many as the
/// system has room for. Reaching the limit delays work and fails none; whoever cares is told once per interval. At the limit, a spare of
/// one group ends if another group needs a worker. Thread-safe where it does not say otherwise.
/// </summary>
/// <remarks>
/// <code>
///   bound                                              is looked at
///   Maximum                                            always
///   what the system has room for (WorkerHeadroom)      before a worker starts, when what the last look has allowed is used up, or is
///                                                      100 ms old; at most every 100 ms while there is no room
///   a thread that the system has refused               then: so many workers fewer as the rest of the process needs, for 10 s;
///                                                      twice as long each time it is refused again soon, up to 5 minutes
/// </code>
/// If there are more than there may be, because a limit was lowered or others have taken what was free, workers end instead of becoming
/// spares. How many may stay, and not how many have to end, is what a look decides: workers end for other reasons as well, and each takes
/// a moment to do so.
/// </remarks>
/// <param name="maximum">The number.</param>
/// <param name="onReached">Who is told.</param>
/// <param name="headroom">What the system has room for; null: whatever is wanted, as in some tests.</param>
internal sealed class WorkerLimit(int maximum, Action<WorkerLimitReached>? onReached, WorkerHeadroom? headroom = null)
{
    internal const long ReportIntervalNanoseconds = 10_000 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long LookIntervalNanoseconds = 100 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long FirstHoldNanoseconds = 10_000 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long LongestHoldNanoseconds = 300_000 * MonotonicClock.NanosecondsPerMillisecond;

    private const int DefaultThreadsLeft = WorkerHeadroom.LeastThreadsLeft;
    private const int ShareOfWorkers = 5;

    // Guards the writing of _count, of all workers, and _leaving, of those among them that are about to end.
    private readonly Lock _lock = new();
    private int _count;
    private int _leaving;
    private long _reached;
    private long _nextReport;

    // Those that the runtime begins with.
    private int _initial;

    // More than these must not become spares, until then: the needs of the rest of the process may be others by then. Written by the
    // monitor.
    private int _stayCeiling = int.MaxValue;
    private long _stayUntil;
    private volatile bool _isFull;

    // The monitor's: what the last look has found, and when it was.
    private WorkerAllowance _allowance = new(int.MaxValue, IsFull: false, ResourceReading.Unlimited, 0, IsMemory: false);
    private long _lookedAt = long.MinValue;
    private bool _isBlind;

    // The monitor's: the system has refused a thread, and until when that counts.
    private int _refusedCeiling = int.MaxValue;
    private int _refusedAt;
    private long _refusedUntil;
    private long _hold;

    // Complete before the monitor starts, which alone looks at it; and the spare that it has dismissed last.
    private readonly List<WorkerPool> _pools = [];
    private Worker? _dismissed;

    internal int Maximum { get; } = maximum;

    internal int Count => Volatile.Read(ref _count);

    /// <summary>May one more be started, as far as was known at the last look?</summary>
    internal bool HasRoom => Count < Math.Min(Maximum, Volatile.Read(ref _refusedCeiling)) && !_isFull;

    /// <summary>How many turns were to lose their processor, and kept it because no worker was to be had.</summary>
    internal long Reached => Volatile.Read(ref _reached);

    internal void Register(WorkerPool pool) => _pools.Add(pool);

    /// <summary>For a worker that the runtime begins with.</summary>
    internal bool TryAdd()
    {
        if (!TryAddBelow(Maximum))
        {
            return false;
        }

        Interlocked.Increment(ref _initial);
        return true;
    }

    /// <summary>For the monitor: for one more, if the system has room for it.</summary>
    internal bool TryGrow(long now)
    {
        if (_refusedCeiling != int.MaxValue && now >= _refusedUntil)
        {
            _refusedCeiling = int.MaxValue;
        }

        Look(now);
        return !_isBlind && TryAddBelow(Math.Min(Maximum, Math.Min(_allowance.Ceiling, _refusedCeiling)));
    }

    /// <summary>
    /// For the monitor, after <see cref="TryGrow"/>: for one more, that others could not go on without, from what is left to the rest of
    /// the process. Not where a start would fail, or where nobody knows: the rest of the process may be at its last.
    /// </summary>
    internal bool TryExceedRoom() => !_isBlind && _refusedCeiling == int.MaxValue && TryAddBelow(Maximum);

    /// <summary>A worker has ended.</summary>
    /// <param name="wasLeaving">That was known before: <see cref="TryShed"/>, <see cref="OnLeaving"/>.</param>
    internal void Remove(bool wasLeaving = false)
    {
        lock (_lock)
        {
            Volatile.Write(ref _count, _count - 1);
            _leaving -= wasLeaving ? 1 : 0;
        }
    }

    /// <summary>A worker is about to end.</summary>
    internal void OnLeaving()
    {
        lock (_lock)
        {
            _leaving++;
        }
    }

    /// <summary>For a worker that is about to become a spare. True: it has to end instead, and counts as leaving.</summary>
    internal bool TryShed(long now)
    {
        if (Count <= Volatile.Read(ref _stayCeiling))
        {
            return false;
        }

        lock (_lock)
        {
            if (_count - _leaving <= _stayCeiling || now >= Volatile.Read(ref _stayUntil))
            {
                return false;
            }

            _leaving++;
            return true;
        }
    }

    /// <summary>For the monitor: the system has refused the thread that was to start, and does not count any more.</summary>
    internal void OnRefused(long now)
    {
        bool again = _hold != 0 && now < _refusedUntil + _hold;
        _hold = again ? Math.Min(_hold * 2, LongestHoldNanoseconds) : FirstHoldNanoseconds;
        _refusedUntil = now + _hold;
        _refusedAt = Count;
        int extra = Math.Max(0, Count - _initial);
        _refusedCeiling = Count - Math.Min(headroom?.ThreadsLeft ?? DefaultThreadsLeft, extra - (extra / ShareOfWorkers));
        LimitStay(_refusedCeiling, _refusedUntil);
    }

    /// <summary>
    /// For the monitor: some group wants a worker, has no spare, and may not start one. Another group that has one lets it go, one at a
    /// time: as soon as it has ended, a worker may start.
    /// </summary>
    /// <param name="wanting">The group's.</param>
    /// <returns>A spare is about to end.</returns>
    internal bool MakeRoom(WorkerPool wanting)
    {
        if (_dismissed is { HasEnded: false })
        {
            return true;
        }

        _dismissed = null;
        foreach (WorkerPool pool in _pools)
        {
            if (pool != wanting && pool.TryDismissSpare() is { } spare)
            {
                _dismissed = spare;
                return true;
            }
        }

        return false;
    }

    /// <summary>For the monitor: a worker was wanted, and there is none: the limit is reached, or the system gives no thread.</summary>
    /// <param name="refusal">Why the system gives none; null if the limit is the reason.</param>
    /// <param name="again">It was wanted for the same turn before: told again, but not counted.</param>
    /// <param name="now">On the monotonic clock.</param>
    internal void OnReached(Exception? refusal, bool again, long now)
    {
        if (!again)
        {
            Interlocked.Increment(ref _reached);
        }

        long next = Volatile.Read(ref _nextReport);
        if (onReached is not null
            && now >= next
            && Interlocked.CompareExchange(ref _nextReport, now + ReportIntervalNanoseconds, next) == next)
        {
            // Foreign code: not on the thread that hands blocked workers' places on.
            var report = new WorkerLimitReached(Count, Maximum, refusal, DescribeBound());
            ThreadPoolQueue.Add(static state => Report(state.onReached, state.report), (onReached, report));
        }
    }

    // The tightest comes first: there may be more than one.
    private string? DescribeBound()
    {
        int count = Count;
        if (_refusedCeiling <= Math.Min(_allowance.Ceiling, Maximum))
        {
            return string.Create(CultureInfo.InvariantCulture, $"the system has refused a thread when there were {_refusedAt}");
        }

        if (count >= Maximum || !_isFull)
        {
            return null;
        }

        return _isBlind ? headroom?.Obstacle : _allowance.Describe();
    }

    private void Look(long now)
    {
        if (headroom is null)
        {
            return;
        }

        int count = Count;
        bool isDue = now - _lookedAt >= LookIntervalNanoseconds || _lookedAt == long.MinValue;
        if (!isDue && (_isFull || count < _allowance.Ceiling))
        {
            return;
        }

        _lookedAt = now;
        if (headroom.Read(count, _initial) is not { } allowance)
        {
            // Mostly for want of descriptors, without which .NET may not be able to start a thread either, and gives up.
            _isBlind = true;
            _isFull = true;
            _allowance = _allowance with { Ceiling = Math.Min(_allowance.Ceiling, count) };
            return;
        }

        _allowance = allowance;
        _isBlind = false;
        _isFull = allowance.IsFull;
        LimitStay(Math.Min(allowance.Ceiling, _refusedCeiling), now + FirstHoldNanoseconds);
    }

    private void LimitStay(int ceiling, long until)
    {
        Volatile.Write(ref _stayUntil, until);
        Volatile.Write(ref _stayCeiling, ceiling);
    }

    private bool TryAddBelow(int ceiling)
    {
        if (Count >= ceiling)
        {
            return false;
        }

        lock (_lock)
        {
            if (_count >= ceiling)
            {
                return false;
            }

            Volatile.Write(ref _count, _count + 1);
            return true;
        }
    }

    // A logger may throw. On a thread of the pool that would be the end of the process.
    private static void Report(Action<WorkerLimitReached> onReached, WorkerLimitReached report)
    {
        try
        {
            onReached(report);
        }
        catch (Exception)
        {
            // Nobody is left to tell; the count remains.
        }
    }
}

/// <summary>A blocked worker's place could not be given to another one.</summary>
/// <param name="Workers">Worker threads now.</param>
/// <param name="Maximum">The most there may be.</param>
/// <param name="Refusal">Why the system gave no thread; null if it was not asked.</param>
/// <param name="Bound">What leaves no room for another one; null if it is the maximum.</param>
internal sealed record WorkerLimitReached(int Workers, int Maximum, Exception? Refusal, string? Bound = null);
