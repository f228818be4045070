namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// A thread that runs turns while it holds a <see cref="Processor"/>, and is a parked spare while it holds none: Go's M. It never dies of a
/// turn. When a turn blocks, the monitor takes its processor away; the worker finds out when the turn has returned.
/// </summary>
internal sealed class Worker
{
    private readonly Thread _thread;
    private readonly Parker _parker;
    private readonly string _name;
    private ExecutionContext? _defaultContext;

    // What it holds. Written by who gives it, before the thread starts or while it is parked, then by the worker alone.
    private Processor? _processor;

    // The turn whose worker has lost the processor that this one got: what it deferred is to be done. As _processor.
    private Turn? _blocked;

    private volatile bool _isDismissed;

    // Written when the thread starts, read by the monitor once it has a processor.
    private int _threadId;

    // The monitor's: made when it first asks.
    private string? _statPath;

    // The state of the processor in which the turn runs that the worker is inside of; for the worker alone.
    private long _turnState;

    internal Worker(WorkerGroup group, string name, Processor? processor)
    {
        Group = group;
        _name = name;
        _parker = new Parker(group.SystemCalls);
        _processor = processor;
        _thread = new Thread(Loop) { IsBackground = true, Name = name };
    }

    internal WorkerGroup Group { get; }

    /// <summary>For the pool: until the thread first asks it for a processor. One that has just been made is nobody's spare.</summary>
    internal bool IsFresh { get; set; } = true;

    /// <summary>The kernel's id of the thread.</summary>
    internal int ThreadId => Volatile.Read(ref _threadId);

    /// <summary>For the monitor, which asks thousands of times a second: where the kernel says what the thread is doing.</summary>
    internal string StatPath => _statPath ??= $"/proc/self/task/{ThreadId}/stat";

    /// <summary>Is the thread inside a wait that the runtime knows of: a sleep, a lock, an event, a task? Any thread.</summary>
    internal bool IsInManagedWait => (_thread.ThreadState & System.Threading.ThreadState.WaitSleepJoin) != 0;

    /// <summary>For the worker itself, inside a turn: has the monitor left the processor to it?</summary>
    internal bool HoldsProcessorOfTurn => _processor is { } processor && processor.State == _turnState;

    internal bool HasProcessor => Volatile.Read(ref _processor) is not null;

    /// <summary>For the pool: one that was taken off the spares in order to end.</summary>
    internal bool IsDismissed => _isDismissed;

    internal bool HasEnded => !_thread.IsAlive;

    // UnsafeStart: the starter's execution context must not become the context of every app that runs here.
    internal void Start() => _thread.UnsafeStart();

    // A worker that was never started has left already.
    internal bool Join(TimeSpan timeout) =>
        (_thread.ThreadState & System.Threading.ThreadState.Unstarted) != 0 || _thread.Join(timeout);

    /// <summary>Gives a worker that has none a processor. By the one who took it off the spares.</summary>
    /// <param name="processor">What it shall go on with.</param>
    /// <param name="blocked">The turn in which its last holder is.</param>
    internal void Give(Processor processor, Turn? blocked)
    {
        _blocked = blocked;
        Volatile.Write(ref _processor, processor);
        _parker.Unpark();
    }

    /// <summary>Ends a worker that has no processor. By the one who took it off the spares.</summary>
    internal void Dismiss()
    {
        _isDismissed = true;
        _parker.Unpark();
    }

    /// <summary>Makes a parked worker look around.</summary>
    internal void Unpark() => _parker.Unpark();

    /// <summary>For the worker itself. False: the time was up.</summary>
    internal bool Park(long timeoutNanoseconds) => _parker.Park(timeoutNanoseconds);

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
        Volatile.Write(ref _threadId, Group.SystemCalls.GetThreadId().Value);
        _defaultContext = ExecutionContext.Capture();
        try
        {
            while (Group.Pool.WaitForProcessor(this))
            {
                RunProcessor(_processor!);
            }
        }
        finally
        {
            Group.OnWorkerStopped(this);
        }
    }

    // Returns when the processor is lost, or given up because the group stops.
    private void RunProcessor(Processor processor)
    {
        if (_blocked is { } blocked)
        {
            _blocked = null;
            if (!Run(processor, new DeferredWork(blocked)))
            {
                return;
            }
        }

        while (!Group.Stopping)
        {
            Group.FireDeadlines(processor);
            if (!Group.TryTakeTurn(processor, out Turn? turn))
            {
                Group.FindWork(processor);
            }
            else if (!Run(processor, turn!))
            {
                return;
            }
        }

        Group.GiveUp(processor);
        _processor = null;
    }

    // False: the processor is somebody else's now.
    private bool Run(Processor processor, Turn turn)
    {
        processor.Counters.Turns++;
        long state = processor.BeginTurn(turn);
        _turnState = state;
        Group.Monitor?.OnTurnBegun();
        try
        {
            turn.Run();
        }
        catch (Exception exception)
        {
            Group.OnTurnFailed();
            Report(turn, exception);
        }

        Clean();
        if (processor.TryEndTurn(state))
        {
            return true;
        }

        _processor = null;
        return false;
    }

    // Whatever the turn left behind on the thread must not reach the next connection's app. The culture goes with the context. Only a pending
    // Thread.Interrupt stays: nothing but a wait would take it off the thread.
    private void Clean()
    {
        ExecutionContext.Restore(_defaultContext!);
        if (SynchronizationContext.Current is not null)
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }

        if (!ReferenceEquals(_thread.Name, _name))
        {
            _thread.Name = _name;
        }

        if (_thread.Priority != ThreadPriority.Normal)
        {
            _thread.Priority = ThreadPriority.Normal;
        }

        if (!_thread.IsBackground)
        {
            _thread.IsBackground = true;
        }
    }
}
