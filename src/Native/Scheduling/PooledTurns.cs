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
///   ------------------   --------------------   --------------------------------------------------------------------
///   in time              waits for a permit     late, when the monitor has seen turns wait, and none taken, for 10 ms;
///                                               what waits then goes to the workers
///   late                 goes to the workers    in time, when a permit comes: the pool has a thread again
/// </code>
/// Nothing is lost between the two: whoever makes it late takes what is queued afterwards, and whoever adds has left a permit.
/// </remarks>
/// <param name="group">The workers.</param>
internal sealed class PooledTurns(WorkerGroup group) : IThreadPoolWorkItem
{
    /// <summary>For so long may no turn be taken while some wait.</summary>
    internal const long PatienceNanoseconds = SystemMonitor.LongTurnNanoseconds;

    private readonly GroupQueue _queue = new();

    private volatile bool _isLate;

    // Interlocked: turns that were taken by permits.
    private long _taken;

    // The monitor's: what had been taken when it last saw that change, or saw nothing wait; and since when.
    private long _seenTaken;
    private long _seenSince;

    /// <summary>Does the thread pool keep turns waiting? May be a moment old.</summary>
    internal bool IsLate => _isLate;

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

    /// <summary>For the monitor: does no turn wait? May be a moment old.</summary>
    internal bool IsEmpty => _queue.IsEmpty;

    /// <summary>For the monitor, at each look. True: turns wait.</summary>
    internal bool LookAt(long now)
    {
        if (_queue.IsEmpty)
        {
            _seenSince = 0;
            return false;
        }

        long taken = Volatile.Read(ref _taken);
        if (_seenSince == 0 || taken != _seenTaken)
        {
            _seenSince = now;
            _seenTaken = taken;
        }
        else if (now - _seenSince >= PatienceNanoseconds)
        {
            _isLate = true;
            while (_queue.TryDequeue(out Turn? turn))
            {
                group.Schedule(turn);
            }
        }

        return true;
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_isLate)
        {
            _isLate = false;
        }

        if (_queue.TryDequeue(out Turn? turn))
        {
            Interlocked.Increment(ref _taken);
            Worker.RunGuarded(turn);
        }
    }
}
