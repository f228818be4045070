using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// One poller, its deadline heap, the processors that turns run on, and the workers that hold them. Everything registered with the
/// group is served by any of its workers. Thread-safe.
/// </summary>
/// <remarks>
/// How a sleeping worker learns of work that is not an event (the protocol is the same for turns and for deadlines):
/// <code>
///  publisher                                   worker going to sleep
///  1 put the turn into a queue                 1 say until when it sleeps, count itself as a sleeper
///    (or move the heap's earliest deadline)
///  2 full fence                                2 full fence
///  3 a sleeper? signal the poller              3 work, or an earlier deadline? do not sleep after all
/// </code>
/// A signal wakes one worker. A worker that leaves its sleep to run turns passes the signal on when it leaves something
/// behind: more turns, or a deadline that no remaining sleeper would wake up for. Without a sleeper nobody is signalled: a worker looks
/// before it sleeps, one that polls without sleeping (<see cref="BusyPolling"/>) also meanwhile, and if all of them are blocked in turns,
/// the monitor sees to it.
/// </remarks>
internal sealed partial class WorkerGroup
{
    // Turns of a group that may compute without a processor after 1.5 ms; more of them keep theirs for 10.
    private const int MostDetached = 8;

    private readonly GroupQueue _queue = new();
    private readonly Processor[] _processors;
    private readonly ThreadLocal<Worker?> _current;

    // Workers between announcing their sleep and having ended it. Interlocked only: it carries the protocol's fence.
    private int _sleepers;

    private long _failedTurns;

    // Written by the monitor.
    private long _handOffs;

    // Turns that compute and have lost their processor. Interlocked.
    private int _detached;

    internal WorkerGroup(int id, WorkerGroupSetup setup, Poller poller, SystemCalls systemCalls, ThreadLocal<Worker?> current)
    {
        Id = id;
        Poller = poller;
        SystemCalls = systemCalls;
        Monitor = setup.Monitor;
        _current = current;
        Limit = setup.Limit;
        QueueProbe = new QueueProbe(this);
        Pooled = new PooledTurns(this);
        Pool = new WorkerPool(this, setup.Name, setup.Limit, setup.SpareIdleTime);
        _idle = new IdleProcessors(setup.ProcessorCount);
        _busyPolls = setup.BusyPolls && poller.IsCheapToAsk;
        _gathers = setup.Gathers;
        _metersLoad = setup.MetersLoad;
        _unreadTimer = new TurnTimer(new UnreadLook(this));
        _processors = new Processor[setup.ProcessorCount];
        for (int i = 0; i < _processors.Length; i++)
        {
            _processors[i] = new Processor(i, poller.CreateBatch(setup.EventBatchSize));
        }
    }

    internal int Id { get; }

    internal Poller Poller { get; }

    internal SystemCalls SystemCalls { get; }

    /// <summary>Hands a blocked worker's processor on. Null: turns of this group never block.</summary>
    internal SystemMonitor? Monitor { get; }

    internal WorkerPool Pool { get; }

    /// <summary>Turns that are to run on the thread pool.</summary>
    internal PooledTurns Pooled { get; }

    internal WorkerLimit Limit { get; }

    internal IReadOnlyList<Processor> Processors => _processors;

    internal int ProcessorCount => _processors.Length;

    internal int Sleepers => Volatile.Read(ref _sleepers);

    internal bool Stopping => Pool.Stopping;

    /// <summary>The calling thread, if it is a worker, of whichever group of the runtime.</summary>
    internal Worker? CurrentWorker => _current.Value;

    /// <summary>Is the calling thread one of this group's workers?</summary>
    internal bool IsWorkerThread => _current.Value?.Group == this;

    /// <summary>
    /// Is the calling thread inside a turn whose worker still has its processor, so that the monitor notices if the turn blocks?
    /// </summary>
    internal bool IsTurnWatched =>
        Monitor is { IsStopping: false } && _current.Value is { } worker && worker.Group == this && worker.HoldsProcessorOfTurn;

    /// <summary>Runs the turn once on a worker of this group, first in, first out. Any thread.</summary>
    internal void Schedule(Turn turn)
    {
        _queue.Enqueue(turn);

        // The publisher's fence, and at once its look at the sleepers.
        if (Interlocked.CompareExchange(ref _sleepers, 0, 0) != 0)
        {
            Poller.Wake();
        }
        else
        {
            DrainIfNobodyIsLeft();
        }
    }

    /// <summary>
    /// Queues a turn behind everything that waits, for code inside a turn that is about to end for its sake. Nobody is signalled: if the
    /// caller is a worker of this group, it looks at the queue itself, and if its turn goes on after all, the monitor sees the work that
    /// waits.
    /// </summary>
    internal void Yield(Turn turn)
    {
        if (IsTurnWatched)
        {
            _queue.Enqueue(turn);
            Interlocked.MemoryBarrier();
            if (IsTurnWatched && !Stopping)
            {
                // If the turn blocks until that has run, somebody must see it soon.
                Monitor!.OnYielded();
                return;
            }

            // It may have lost its processor before the turn was in the queue, or the group stops: then as any other.
            Poller.Wake();
            DrainIfNobodyIsLeft();
            return;
        }

        Schedule(turn);
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

    /// <summary>
    /// Schedules the timer's turn at a time on the monotonic clock. Not before the last one has begun. A group that stops forgets it. Any
    /// thread.
    /// </summary>
    internal void ScheduleAt(TurnTimer timer, long when)
    {
        if (Poller.Deadlines.Arm(timer, when, sequence: 0) && Volatile.Read(ref _sleepers) != 0 && !IsNextDeadlineCovered())
        {
            Poller.Wake();
        }
    }

    /// <summary>
    /// Forgets what <see cref="ScheduleAt"/> was given. False: there is nothing, or it is on its way already. Any thread.
    /// </summary>
    internal bool Cancel(TurnTimer timer) => Poller.Deadlines.Disarm(timer);

    /// <exception cref="OutOfMemoryException">No thread to be had; those that have started leave.</exception>
    internal void Start()
    {
        // Counts as a worker, so that the last one that leaves is the last one also if they leave at once.
        Pool.Enter();
        try
        {
            foreach (Processor processor in _processors)
            {
                processor.Holder = Pool.TryStart(processor, out Exception? refusal)
                    ?? throw refusal ?? new InvalidOperationException("There may be fewer workers than turns that shall run at once.");
            }
        }
        catch
        {
            RequestStop();
            throw;
        }
        finally
        {
            Leave(Pool.Leave());
        }
    }

    internal void AddCountersTo(ref NetpollStatistics sum)
    {
        foreach (Processor processor in _processors)
        {
            WorkerCounters counters = processor.Counters;
            sum = sum with
            {
                Polls = sum.Polls + Volatile.Read(ref counters.Polls),
                Events = sum.Events + Volatile.Read(ref counters.Events),
                StaleEvents = sum.StaleEvents + Volatile.Read(ref counters.StaleEvents),
                Turns = sum.Turns + Volatile.Read(ref counters.Turns),
                StolenTurns = sum.StolenTurns + Volatile.Read(ref counters.StolenTurns),
                DeadlinesFired = sum.DeadlinesFired + counters.DeadlinesFired,
            };
        }

        sum = sum with
        {
            FailedTurns = sum.FailedTurns + Volatile.Read(ref _failedTurns),
            HandOffs = sum.HandOffs + Volatile.Read(ref _handOffs),
            Wakeups = sum.Wakeups + Poller.Wakeups,
            Workers = sum.Workers + Pool.Running,
            SpareWorkers = sum.SpareWorkers + Pool.Spares,
            OpenDescriptors = sum.OpenDescriptors + Poller.Table.OpenCount,
        };
    }

    /// <summary>
    /// Takes a processor away from the worker that is inside a turn, and gives it to a spare. For the monitor.
    /// </summary>
    /// <param name="processor">The processor.</param>
    /// <param name="state">The state in which the turn was found to be blocked.</param>
    /// <param name="detaches">The turn is not blocked, but computes: it counts as one that does until it ends.</param>
    /// <returns>False: there is no worker to give it to. True also when the turn has ended meanwhile.</returns>
    internal bool TryHandOff(Processor processor, long state, bool detaches = false)
    {
        // Finding out has taken time, and starting a worker takes more.
        if (processor.State != state)
        {
            return true;
        }

        if (Pool.TryTake(out Exception? refusal) is not { } spare)
        {
            if (!Stopping)
            {
                Limit.OnReached(refusal, again: processor.RefusedState == state, MonotonicClock.Now);
                processor.RefusedState = processor.WantingState = state;
            }

            // The others are all there is.
            Spread(MonotonicClock.Now);
            return false;
        }

        // Read before the state is taken away, which shows that it belongs to it.
        Worker? blocked = processor.Holder;
        blocked?.Detaches = detaches;
        Interlocked.Add(ref _detached, detaches ? 1 : 0);
        if (!processor.TryEndTurn(state))
        {
            Interlocked.Add(ref _detached, detaches ? -1 : 0);
            Pool.Return(spare);
            return true;
        }

        // As soon as possible: who looks at a turn that has lost its processor sees in between neither that it has it, nor that another
        // worker has. So it looks twice.
        processor.Holder = spare;
        Volatile.Write(ref _handOffs, _handOffs + 1);
        SpreadAfterHandOff(MonotonicClock.Now);

        // After the state was taken away, with a full fence: what the turn still puts there it takes back (Worker.TryHold).
        spare.Give(processor, blocked?.TakeHeld());
        return true;
    }

    // Completions must be delivered all the same.
    private void DrainIfNobodyIsLeft()
    {
        if (_abandoned || Pool.Running == 0)
        {
            DrainToThreadPool();
        }
    }

    internal void OnWorkerStarted(Worker worker) => _current.Value = worker;

    /// <summary>For the monitor: may one more turn that computes lose its processor early? The more there are, the less each gets of the
    /// machine.</summary>
    internal bool MayDetach => Volatile.Read(ref _detached) < Math.Max(MostDetached, _processors.Length);

    /// <summary>
    /// Something waits for a worker that a blocked turn waits for in its turn, and has waited for long: if there is no room for one more,
    /// the next one that is wanted may take from what is left to the rest of the process. Any thread.
    /// </summary>
    internal void AskForReserve() => Pool.AskForReserve();

    /// <summary>Is there a spare, or may another worker be started? Any thread; may be a moment old.</summary>
    internal bool MayGetWorker => Pool.Spares != 0 || Limit.HasRoom;

    /// <summary>A turn that computed without a processor has ended.</summary>
    internal void OnDetachedEnded() => Interlocked.Decrement(ref _detached);

    internal void OnTurnFailed() => Interlocked.Increment(ref _failedTurns);
}
