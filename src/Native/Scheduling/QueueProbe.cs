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
    private long _lastWait;

    // How many turns had begun when somebody asked last, and when that number was found first.
    private long _turns;
    private long _turnsAt;
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

    /// <summary>For how long the turn waits, in nanoseconds; 0: it does not.</summary>
    /// <param name="standstill">
    /// For how long no turn is known to have begun in the group meanwhile. It begins with the first question after the last one that has:
    /// nothing notes when turns begin.
    /// </param>
    internal long Waits(out long standstill)
    {
        lock (_lock)
        {
            if (_queuedAt == 0)
            {
                standstill = 0;
                return 0;
            }

            long now = MonotonicClock.Now;
            CountTurnsLocked(now);
            standstill = now - _turnsAt;
            return now - _queuedAt;
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
            long now = MonotonicClock.Now;
            if (_run is not null)
            {
                CountTurnsLocked(now);
                wait = now - _queuedAt;
                return _run.Task;
            }

            wait = _lastWait;
            _run = run = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _turns = group.TurnsBegun;
            _queuedAt = _turnsAt = now;
        }

        group.Schedule(this);
        return run.Task;
    }

    private void CountTurnsLocked(long now)
    {
        long turns = group.TurnsBegun;
        if (turns != _turns)
        {
            _turns = turns;
            _turnsAt = now;
        }
    }
}
