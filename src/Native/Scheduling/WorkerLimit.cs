using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many worker threads a runtime may have, those that are blocked and the spares included. Reaching the limit delays work and fails
/// none; whoever cares is told once per interval. At the limit, a spare of one group ends if another group needs a worker. Thread-safe.
/// </summary>
internal sealed class WorkerLimit(int maximum, Action<WorkerLimitReached>? onReached)
{
    internal const long ReportIntervalNanoseconds = 10_000 * MonotonicClock.NanosecondsPerMillisecond;

    private int _count;
    private long _reached;
    private long _nextReport;

    // Complete before the monitor starts, which alone looks at it; and the spare that it has dismissed last.
    private readonly List<WorkerPool> _pools = [];
    private Worker? _dismissed;

    internal int Maximum { get; } = maximum;

    internal int Count => Volatile.Read(ref _count);

    /// <summary>How many turns were to lose their processor, and kept it because no worker was to be had.</summary>
    internal long Reached => Volatile.Read(ref _reached);

    internal void Register(WorkerPool pool) => _pools.Add(pool);

    internal bool TryAdd()
    {
        int count = Volatile.Read(ref _count);
        while (count < Maximum)
        {
            int seen = Interlocked.CompareExchange(ref _count, count + 1, count);
            if (seen == count)
            {
                return true;
            }

            count = seen;
        }

        return false;
    }

    internal void Remove() => Interlocked.Decrement(ref _count);

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

    /// <summary>A worker was wanted, and there is none: the limit is reached, or the system gives no thread.</summary>
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
            var report = new WorkerLimitReached(Count, Maximum, refusal);
            ThreadPool.UnsafeQueueUserWorkItem(_ => Report(onReached, report), null);
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
/// <param name="Refusal">Why the system gave no thread; null if the limit is the reason.</param>
internal sealed record WorkerLimitReached(int Workers, int Maximum, Exception? Refusal);
