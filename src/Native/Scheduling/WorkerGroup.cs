using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// One poller, its deadline heap, and the workers that wait on it. Everything registered with the group is served by any of
/// its workers. Thread-safe.
/// </summary>
/// <remarks>
/// How a sleeping worker learns of work that is not an event (the protocol is the same for turns and for deadlines):
/// <code>
///  publisher                                   worker going to sleep
///  1 put the turn into the queue               1 say until when it sleeps, count itself as a sleeper
///    (or move the heap's earliest deadline)
///  2 full fence                                2 full fence
///  3 a sleeper? signal the poller              3 work, or an earlier deadline? do not sleep after all
/// </code>
/// A signal wakes one worker. A worker that leaves its sleep to run turns passes the signal on when it leaves something
/// behind: more turns, or a deadline that no remaining sleeper would wake up for.
/// </remarks>
internal sealed class WorkerGroup
{
    private readonly RunQueue _queue = new();
    private readonly Worker[] _workers;
    private readonly ThreadLocal<Worker?> _current;

    // Workers between announcing their sleep and having ended it. Interlocked only: it carries the protocol's fence.
    private int _sleepers;

    private int _running;
    private volatile bool _stopping;

    internal WorkerGroup(int id, int workerCount, int batchSize, string name, Poller poller, ThreadLocal<Worker?> current)
    {
        Id = id;
        Poller = poller;
        _current = current;
        _workers = new Worker[workerCount];
        _running = workerCount;
        for (int i = 0; i < workerCount; i++)
        {
            _workers[i] = new Worker(this, $"{name} worker {id}/{i}", batchSize);
        }
    }

    internal int Id { get; }

    internal Poller Poller { get; }

    internal int WorkerCount => _workers.Length;

    internal bool Stopping => _stopping;

    /// <summary>Is the calling thread one of this group's workers?</summary>
    internal bool IsWorkerThread => _current.Value?.Group == this;

    /// <summary>Runs the turn once on a worker of this group, first in, first out. Any thread.</summary>
    internal void Schedule(Turn turn)
    {
        _queue.Enqueue(turn);

        // The publisher's fence, and at once its look at the sleepers.
        if (Interlocked.CompareExchange(ref _sleepers, 0, 0) != 0)
        {
            Poller.Wake();
        }
        else if (Volatile.Read(ref _running) == 0)
        {
            // Nobody is left to run it; completions must be delivered all the same.
            DrainToThreadPool();
        }
    }

    internal void Schedule(WokenWaiters woken)
    {
        Schedule(woken.Reader);
        Schedule(woken.Writer);
    }

    internal void Schedule(PollWaiter? waiter)
    {
        if (waiter is not null)
        {
            Schedule((Turn)waiter);
        }
    }

    /// <summary>Sets a deadline of a descriptor of this group and does what follows from it. Any thread.</summary>
    internal void SetDeadline(PollDescriptor descriptor, PollMode mode, long deadline)
    {
        bool earliestMoved = descriptor.SetDeadline(mode, deadline, out PollWaiter? woken);
        Schedule(woken);
        if (earliestMoved && Volatile.Read(ref _sleepers) != 0 && !IsNextDeadlineCovered())
        {
            Poller.Wake();
        }
    }

    internal void Start()
    {
        int started = 0;
        try
        {
            foreach (Worker worker in _workers)
            {
                worker.Start();
                started++;
            }
        }
        catch
        {
            // No thread to be had. Those that run leave, those that do not run have left; the last one closes the poller.
            _stopping = true;
            for (int i = started; i < _workers.Length; i++)
            {
                OnWorkerStopped();
            }

            throw;
        }
    }

    /// <summary>Tells the workers to leave after their current turn. Does not wait.</summary>
    internal void RequestStop()
    {
        _stopping = true;
        Poller.Wake();
    }

    /// <summary>Waits for the workers to leave. False: one of them is still inside a turn.</summary>
    internal bool WaitForWorkers(TimeSpan timeout)
    {
        long deadline = MonotonicClock.After(timeout);
        foreach (Worker worker in _workers)
        {
            long left = Math.Max(0, deadline - MonotonicClock.Now);
            if (_current.Value != worker && !worker.Join(TimeSpan.FromMilliseconds(left / MonotonicClock.NanosecondsPerMillisecond)))
            {
                return false;
            }
        }

        return true;
    }

    internal void AddCountersTo(ref NetpollStatistics sum)
    {
        foreach (Worker worker in _workers)
        {
            WorkerCounters counters = worker.Counters;
            sum = sum with
            {
                Polls = sum.Polls + Volatile.Read(ref counters.Polls),
                Events = sum.Events + Volatile.Read(ref counters.Events),
                StaleEvents = sum.StaleEvents + Volatile.Read(ref counters.StaleEvents),
                Turns = sum.Turns + Volatile.Read(ref counters.Turns),
                FailedTurns = sum.FailedTurns + Volatile.Read(ref counters.FailedTurns),
                DeadlinesFired = sum.DeadlinesFired + Volatile.Read(ref counters.DeadlinesFired),
            };
        }

        sum = sum with
        {
            Wakeups = sum.Wakeups + Poller.Wakeups,
            OpenDescriptors = sum.OpenDescriptors + Poller.Table.OpenCount,
        };
    }

    // The rest is the workers' side.

    internal void OnWorkerStarted(Worker worker) => _current.Value = worker;

    internal bool TryTakeTurn(out Turn? turn) => _queue.TryDequeue(out turn);

    /// <summary>Announces a sleep. False: there is something to do, do not sleep.</summary>
    internal bool TryBeginSleep(Worker worker, out long until)
    {
        until = Poller.Deadlines.Earliest;
        worker.SleepsUntil = until;
        Interlocked.Increment(ref _sleepers);
        if (_queue.IsEmpty && Poller.Deadlines.Earliest >= until && !_stopping)
        {
            return true;
        }

        EndSleep(worker);
        return false;
    }

    internal void EndSleep(Worker worker)
    {
        worker.SleepsUntil = Worker.Awake;
        Interlocked.Decrement(ref _sleepers);
    }

    /// <summary>A worker that slept is about to run turns: somebody must look after what it leaves behind.</summary>
    internal void PassOn()
    {
        if (Volatile.Read(ref _sleepers) != 0 && (!_queue.IsEmpty || !IsNextDeadlineCovered()))
        {
            Poller.Wake();
        }
    }

    internal void OnWorkerStopped()
    {
        if (Interlocked.Decrement(ref _running) == 0)
        {
            DrainToThreadPool();
            Poller.Dispose();
            return;
        }

        // One signal wakes one worker; hand it on until all have gone.
        Poller.Wake();
    }

    // Is somebody asleep who wakes up in time for the earliest deadline?
    private bool IsNextDeadlineCovered()
    {
        long earliest = Poller.Deadlines.Earliest;
        if (earliest == DeadlineHeap.None)
        {
            return true;
        }

        foreach (Worker worker in _workers)
        {
            if (worker.SleepsUntil <= earliest)
            {
                return true;
            }
        }

        return false;
    }

    private void DrainToThreadPool()
    {
        while (_queue.TryDequeue(out Turn? turn))
        {
            ThreadPool.UnsafeQueueUserWorkItem(static turn => Worker.RunGuarded(turn), turn, preferLocal: false);
        }
    }
}
