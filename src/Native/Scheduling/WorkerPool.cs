using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The worker threads of a group: as many as there are processors, as many more as are blocked, and the spares that wait, parked, to take
/// the next blocked worker's place. A spare that nobody needs for a while ends. Thread-safe.
/// </summary>
internal sealed class WorkerPool
{
    private static readonly TimeSpan RefusalPause = TimeSpan.FromMilliseconds(100);

    // For threads that leave. Until then one that is inside a turn may come out of it, and one that was about to begin a turn may begin it.
    private const long LeavingNanoseconds = 2000 * MonotonicClock.NanosecondsPerMillisecond;
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);

    private readonly WorkerGroup _group;
    private readonly string _name;
    private readonly WorkerLimit _limit;
    private readonly long _spareIdleNanoseconds;

    // The monitor's, which asks thousands of times a second: the system has just refused a thread, and is not asked again before.
    private Exception? _refusal;
    private long _refusedUntil;

    // Somebody needs a worker, whatever the system has room for: once. Taken by the monitor.
    private volatile bool _mayTakeReserve;

    // Guards _workers, _spares, _started and the writing of _stopping.
    private readonly Lock _lock = new();
    private readonly List<Worker> _workers = [];

    // The one that parked last is taken first, so that the others become idle for long enough to end.
    private readonly List<Worker> _spares = [];
    private int _started;
    private volatile bool _stopping;

    // Threads that have not left. Interlocked: whoever finds 0 runs what is queued, and so does the last one that leaves.
    private int _running;

    internal WorkerPool(WorkerGroup group, string name, WorkerLimit limit, TimeSpan spareIdleTime)
    {
        _group = group;
        _name = name;
        _limit = limit;
        _limit.Register(this);
        _spareIdleNanoseconds = (long)spareIdleTime.TotalMilliseconds * MonotonicClock.NanosecondsPerMillisecond;
    }

    internal bool Stopping => _stopping;

    /// <summary>Threads, whatever they do.</summary>
    internal int Running => Volatile.Read(ref _running);

    internal int Spares
    {
        get
        {
            lock (_lock)
            {
                return _spares.Count;
            }
        }
    }

    /// <summary>
    /// Starts a worker: with a processor, at the beginning; or to be given one, for the monitor. Null: the limit is reached, no thread is
    /// to be had, or it is over.
    /// </summary>
    internal Worker? TryStart(Processor? processor, out Exception? refusal)
    {
        refusal = null;
        if (!(processor is null ? _limit.TryGrow(MonotonicClock.Now) || TryTakeReserve() : _limit.TryAdd()))
        {
            return null;
        }

        Worker worker;
        lock (_lock)
        {
            if (_stopping)
            {
                _limit.Remove();
                return null;
            }

            worker = new Worker(_group, $"{_name} worker {_group.Id}/{_started++}", processor);
            _workers.Add(worker);
            Interlocked.Increment(ref _running);
        }

        try
        {
            worker.Start();
            _mayTakeReserve = false;
            return worker;
        }
        catch (Exception e) when (ThreadPoolQueue.IsRefusal(e))
        {
            refusal = e;
            _group.OnWorkerStopped(worker);
            if (processor is null)
            {
                _limit.OnRefused(MonotonicClock.Now);
            }

            return null;
        }
    }

    /// <inheritdoc cref="WorkerGroup.AskForReserve"/>
    internal void AskForReserve() => _mayTakeReserve = true;

    private bool TryTakeReserve()
    {
        if (!_mayTakeReserve)
        {
            return false;
        }

        _mayTakeReserve = false;
        return _limit.TryExceedRoom();
    }

    /// <summary>Takes a spare, or starts one. The caller must <see cref="Worker.Give"/> it a processor or <see cref="Return"/>
    /// it.</summary>
    internal Worker? TryTake(out Exception? refusal)
    {
        refusal = null;
        lock (_lock)
        {
            if (_spares.Count != 0)
            {
                // Whoever has asked for the reserve has a worker now.
                _mayTakeReserve = false;
                Worker spare = _spares[^1];
                _spares.RemoveAt(_spares.Count - 1);
                return spare;
            }
        }

        if (_refusal is not null && MonotonicClock.Now < _refusedUntil)
        {
            refusal = _refusal;
            return null;
        }

        Worker? started = TryStart(processor: null, out refusal);
        if (started is null && _limit.MakeRoom(this))
        {
            // There may be room as soon as the monitor looks again: below the limit, or below the system's.
            _refusal = null;
            return null;
        }

        _refusal = refusal;
        _refusedUntil = refusal is null ? 0 : MonotonicClock.After(RefusalPause);
        return started;
    }

    /// <summary>Ends the spare that has been one for longest. Null: there is none.</summary>
    internal Worker? TryDismissSpare()
    {
        Worker spare;
        lock (_lock)
        {
            if (_spares.Count == 0)
            {
                return null;
            }

            spare = _spares[0];
            _spares.RemoveAt(0);
        }

        _limit.OnLeaving();
        spare.IsLeaving = true;
        spare.Dismiss();
        return spare;
    }

    /// <summary>A worker that was taken is not needed after all.</summary>
    internal void Return(Worker worker)
    {
        lock (_lock)
        {
            _spares.Add(worker);
        }

        // If its time was up when it was taken, it has parked without a limit. Now it is a spare like any other, and its time begins anew.
        worker.Unpark();
    }

    /// <summary>For a worker that holds no processor: parks until it gets one. False: it has to end.</summary>
    internal bool WaitForProcessor(Worker worker)
    {
        lock (_lock)
        {
            if (!worker.IsFresh && !_stopping)
            {
                if (_limit.TryShed(MonotonicClock.Now))
                {
                    worker.IsLeaving = true;
                    return false;
                }

                _spares.Add(worker);
            }

            worker.IsFresh = false;
        }

        long timeout = _spareIdleNanoseconds;
        while (true)
        {
            // In this order: a processor that was given before the stop must not be left behind with what is in its queue.
            bool stopping = _stopping;
            if (worker.HasProcessor)
            {
                return true;
            }

            if (stopping || worker.IsDismissed)
            {
                return false;
            }

            if (worker.Park(timeout))
            {
                // If it was only returned, it is a spare like any other.
                timeout = _spareIdleNanoseconds;
            }
            else
            {
                lock (_lock)
                {
                    if (_spares.Remove(worker))
                    {
                        _limit.OnLeaving();
                        worker.IsLeaving = true;
                        return false;
                    }
                }

                // Somebody has taken it and is about to give it something.
                timeout = -1;
            }
        }
    }

    /// <summary>No worker starts any more, and the spares leave.</summary>
    internal void RequestStop()
    {
        Worker[] spares;
        lock (_lock)
        {
            _stopping = true;
            spares = [.. _spares];
        }

        foreach (Worker spare in spares)
        {
            spare.Unpark();
        }
    }

    /// <summary>
    /// Once the monitor has stopped: waits for the threads to leave, also for those that are inside turns, until the deadline. A thread
    /// that is not inside one is about to leave, and is waited for, if the machine is slow, for two seconds more.
    /// </summary>
    /// <returns>How many have not left, the calling thread not counted.</returns>
    internal int Join(Worker? self, long deadline)
    {
        Worker[] workers;
        lock (_lock)
        {
            workers = [.. _workers];
        }

        int left = 0;
        long last = deadline + LeavingNanoseconds;
        foreach (Worker worker in workers)
        {
            if (worker == self)
            {
                continue;
            }

            bool hasLeft = worker.Join(Until(deadline));
            while (!hasLeft && !worker.IsInTurn && MonotonicClock.Now < last)
            {
                hasLeft = worker.Join(LookInterval);
            }

            left += hasLeft ? 0 : 1;
        }

        return left;
    }

    /// <summary>A thread leaves. True: it was the last one. It is waited for until it is forgotten.</summary>
    internal bool LeaveAsWorker(Worker worker)
    {
        _limit.Remove(worker.IsLeaving);
        return Leave();
    }

    /// <summary>A thread has left, and has done all that is to be done then: nobody has to wait for it any more.</summary>
    internal void Forget(Worker worker)
    {
        lock (_lock)
        {
            _workers.Remove(worker);
        }
    }

    /// <summary>Counts as a thread that has not left, without being one.</summary>
    internal void Enter() => Interlocked.Increment(ref _running);

    /// <summary>The opposite of <see cref="Enter"/>. True: it was the last one.</summary>
    internal bool Leave() => Interlocked.Decrement(ref _running) == 0;

    private static TimeSpan Until(long deadline) =>
        TimeSpan.FromMilliseconds(Math.Max(0, deadline - MonotonicClock.Now) / MonotonicClock.NanosecondsPerMillisecond);
}
