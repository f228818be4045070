using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// A turn that does nothing, queued behind what waits in its group: the time until it runs is the time that work waits. Nothing else has to
/// note when it was queued. There is one at a time, and only when somebody asks. Thread-safe.
/// </summary>
internal sealed class QueueProbe(WorkerGroup group) : Turn
{
    // Guards the fields.
    private readonly Lock _lock = new();

    // On the monotonic clock; 0: it is not queued.
    private long _queuedAt;
    private long _turnsBefore;
    private long _lastWait;
    private TaskCompletionSource? _run;

    /// <summary>
    /// For how long what was queued when somebody asked last has waited; if it waits still, for how long it has so far. Queues the turn for
    /// the next answer.
    /// </summary>
    /// <returns>Nanoseconds; 0 at first.</returns>
    internal long Ask()
    {
        Begin(out long wait);
        return wait;
    }

    /// <summary>Queues the turn, unless it is. The task completes, on the thread pool, when it has run.</summary>
    internal Task WhenRunAsync() => Begin(out _);

    /// <summary>Since when the turn waits, in nanoseconds, and whether no turn has begun in the group since; 0: it does not wait.</summary>
    internal long Waits(out bool nothingRuns)
    {
        lock (_lock)
        {
            nothingRuns = _queuedAt != 0 && group.TurnsBegun == _turnsBefore;
            return _queuedAt == 0 ? 0 : MonotonicClock.Now - _queuedAt;
        }
    }

    internal override void Run()
    {
        TaskCompletionSource? run;
        lock (_lock)
        {
            _lastWait = MonotonicClock.Now - _queuedAt;
            _queuedAt = 0;
            run = _run;
            _run = null;
        }

        run?.SetResult();
    }

    internal override void OnUnhandledException(Exception exception)
    {
        // Nothing throws there.
    }

    private Task Begin(out long wait)
    {
        TaskCompletionSource run;
        lock (_lock)
        {
            if (_run is not null)
            {
                wait = MonotonicClock.Now - _queuedAt;
                return _run.Task;
            }

            wait = _lastWait;
            _run = run = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _turnsBefore = group.TurnsBegun;
            _queuedAt = MonotonicClock.Now;
        }

        group.Schedule(this);
        return run.Task;
    }
}
