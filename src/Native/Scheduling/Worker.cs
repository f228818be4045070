using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// A dedicated thread that runs turns: those queued at its group, and those that the events it fetches release. It never
/// dies of a turn.
/// </summary>
internal sealed class Worker
{
    /// <summary><see cref="SleepsUntil"/> of a worker that is not asleep: later than any deadline, so that it covers none.</summary>
    internal const long Awake = long.MaxValue;

    // A queue that is never empty must not keep the poller from being looked at.
    private const int QueuedTurnsBetweenPolls = 16;

    private readonly Thread _thread;
    private readonly PollEventBatch _batch;
    private readonly ReadyList _ready;
    private ExecutionContext? _defaultContext;

    // Written by this worker, read by those who arm deadlines. A sleep without end also reads as "covers none".
    private long _sleepsUntil = Awake;

    internal Worker(WorkerGroup group, string name, int batchSize)
    {
        Group = group;
        _batch = group.Poller.CreateBatch(batchSize);
        _ready = new ReadyList(batchSize * 3);
        _thread = new Thread(Loop) { IsBackground = true, Name = name };
    }

    internal WorkerGroup Group { get; }

    internal WorkerCounters Counters { get; } = new();

    internal long SleepsUntil
    {
        get => Volatile.Read(ref _sleepsUntil);
        set => Volatile.Write(ref _sleepsUntil, value);
    }

    // UnsafeStart: the starter's execution context must not become the context of every app that runs here.
    internal void Start() => _thread.UnsafeStart();

    // A worker that was never started has left already.
    internal bool Join(TimeSpan timeout) => (_thread.ThreadState & ThreadState.Unstarted) != 0 || _thread.Join(timeout);

    /// <summary>Runs a turn outside of a worker: once no worker is left, or where none may be needed.</summary>
    internal static void RunGuarded(Turn turn)
    {
        try
        {
            turn.Run();
        }
        catch (Exception exception)
        {
            Report(turn, exception);
        }
    }

    // A handler that logs runs foreign code, which may throw, too.
    private static void Report(Turn turn, Exception exception)
    {
        try
        {
            turn.OnUnhandledException(exception);
        }
        catch (Exception)
        {
            // Nobody is left to tell. The worker's life is worth more than the report.
        }
    }

    private void Loop()
    {
        Group.OnWorkerStarted(this);
        _defaultContext = ExecutionContext.Capture();
        try
        {
            int queuedTurns = 0;
            while (!Group.Stopping)
            {
                FireDeadlines();
                if (queuedTurns < QueuedTurnsBetweenPolls && Group.TryTakeTurn(out Turn? turn))
                {
                    queuedTurns++;
                    Group.PassOn();
                    Run(turn!);
                }
                else
                {
                    PollAndRun(mayBlock: queuedTurns < QueuedTurnsBetweenPolls);
                    queuedTurns = 0;
                }
            }
        }
        finally
        {
            Group.OnWorkerStopped();
        }
    }

    private void PollAndRun(bool mayBlock)
    {
        if (!mayBlock)
        {
            Poll(timeoutNanoseconds: 0);
        }
        else if (Group.TryBeginSleep(this, out long until))
        {
            Poll(until == DeadlineHeap.None ? -1 : Math.Max(0, until - MonotonicClock.Now));
            Group.EndSleep(this);
        }
        else
        {
            return;
        }

        for (int i = 0; i < _batch.Count; i++)
        {
            if (!Group.Poller.Dispatch(in _batch[i], _ready))
            {
                Counters.StaleEvents++;
            }
        }

        RunReady();
    }

    private void Poll(long timeoutNanoseconds)
    {
        Group.Poller.Wait(_batch, timeoutNanoseconds);
        Counters.Polls++;
        Counters.Events += _batch.Count;
    }

    private void FireDeadlines()
    {
        if (Group.Poller.Deadlines.Earliest == DeadlineHeap.None)
        {
            return;
        }

        long now = MonotonicClock.Now;

        // No more than a batch: what is left over is due, so that another worker is woken for it, or this one comes back at once.
        while (_ready.Count < _batch.Capacity && Group.Poller.Deadlines.TryTakeExpired(now, out DeadlineTimer timer, out uint sequence))
        {
            Counters.DeadlinesFired++;
            _ready.Add(((PollDeadline)timer).Fire(sequence, now));
        }

        RunReady();
    }

    private void RunReady()
    {
        if (_ready.Count == 0)
        {
            return;
        }

        Group.PassOn();
        for (int i = 0; i < _ready.Count; i++)
        {
            Run((Turn)_ready.Take(i));
        }

        _ready.Clear();
    }

    private void Run(Turn turn)
    {
        Counters.Turns++;
        try
        {
            turn.Run();
        }
        catch (Exception exception)
        {
            Counters.FailedTurns++;
            Report(turn, exception);
        }

        // Whatever the turn left behind on the thread must not reach the next connection's app.
        ExecutionContext.Restore(_defaultContext!);
        if (SynchronizationContext.Current is not null)
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }
    }
}
