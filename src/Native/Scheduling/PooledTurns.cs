using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The turns of a group that are to run on the thread pool, first in, first out; on workers, while the pool is late, because its threads
/// are blocked. Any thread adds.
/// </summary>
/// <remarks>
/// What is queued to the thread pool is not the turn, but a permit to take one. So the turns themselves can be taken from a pool that does
/// not come to them, and a permit that comes too late finds none.
/// <code>
///   the thread pool is   a turn that is added   becomes
///   ------------------   --------------------   --------------------------------------------------------------------------------
///   in time              waits for a permit     late, when the monitor finds that turns wait, and none was taken for 10 ms, or that
///                                               one has waited for 100 ms: what waits then goes to the workers
///   late                 goes to the workers    in time, after a second at least, if an item that was queued to the pool when it
///                                               became late has run: behind everything that waited there
/// </code>
/// Nothing is lost between the two: while it is late, the monitor takes what somebody has added who did not know yet.
/// </remarks>
/// <param name="group">The workers.</param>
internal sealed class PooledTurns(WorkerGroup group) : IThreadPoolWorkItem
{
    /// <summary>For so long may no turn be taken while some wait.</summary>
    internal const long StandstillNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;

    /// <summary>So long may a turn wait. Where very many requests come at once, all of them wait for a while.</summary>
    internal const long PatienceNanoseconds = 100 * MonotonicClock.NanosecondsPerMillisecond;

    /// <summary>Whoever blocks the pool goes on doing so: each try to go back costs those who wait for it.</summary>
    internal const long LateNanoseconds = 1000 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly GroupQueue _queue = new();

    // Written by the monitor.
    private volatile bool _isLate;

    // The last item that asks whether the pool has become quicker has run. Written by the pool, and by the monitor before it queues one.
    private volatile bool _hasAnswered;

    // Interlocked: turns that were taken by permits.
    private long _taken;

    // The rest is the monitor's. How many had been taken at the last look, and since when; 0: none waited.
    private long _seenTaken;
    private long _seenSince;

    // When so many have been taken, those have that waited at that time.
    private long _markTaken;
    private long _markSince;
    private long _lateSince;

    /// <summary>Does the thread pool keep turns waiting? May be a moment old.</summary>
    internal bool IsLate => _isLate;

    /// <summary>For the monitor: does no turn wait? May be a moment old.</summary>
    internal bool IsEmpty => _queue.IsEmpty;

    /// <summary>How many wait. May be a moment old.</summary>
    internal int Count => _queue.Count;

    /// <summary>Runs the turn once. Any thread.</summary>
    internal void Add(Turn turn)
    {
        if (_isLate)
        {
            group.Schedule(turn);
            return;
        }

        _queue.Enqueue(turn);
        ThreadPoolQueue.Add(this);

        // The monitor announces that it dozes, with a full fence, and then looks once more; this is the other way round.
        Interlocked.MemoryBarrier();
        group.Monitor?.OnTurnBegun();
    }

    /// <summary>For the monitor, at each look.</summary>
    /// <param name="now">On the monotonic clock.</param>
    /// <param name="pause">For how long the runtime has stopped all threads since the last look.</param>
    /// <returns>Do turns wait?</returns>
    internal bool LookAt(long now, long pause)
    {
        if (_isLate)
        {
            MoveToWorkers();
            if (_hasAnswered && now - _lateSince >= LateNanoseconds)
            {
                _isLate = false;
            }
        }

        if (_queue.IsEmpty)
        {
            _seenSince = 0;
            return false;
        }

        long taken = Volatile.Read(ref _taken);
        bool isNew = _seenSince == 0;
        _seenSince += pause;
        _markSince += pause;
        if (isNew || taken != _seenTaken)
        {
            _seenSince = now;
            _seenTaken = taken;
        }

        if (isNew || taken >= _markTaken)
        {
            _markSince = now;
            _markTaken = taken + _queue.Count;
        }

        if (now - _seenSince >= StandstillNanoseconds || now - _markSince >= PatienceNanoseconds)
        {
            BeLate(now);
        }

        return true;
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_queue.TryDequeue(out Turn? turn))
        {
            Interlocked.Increment(ref _taken);
            Worker.RunGuarded(turn);
        }
    }

    private void BeLate(long now)
    {
        _lateSince = now;
        _hasAnswered = false;
        _isLate = true;
        _seenSince = 0;
        ThreadPoolQueue.Add(static turns => turns._hasAnswered = true, this);
        MoveToWorkers();
    }

    private void MoveToWorkers()
    {
        while (_queue.TryDequeue(out Turn? turn))
        {
            group.Schedule(turn);
        }
    }
}
