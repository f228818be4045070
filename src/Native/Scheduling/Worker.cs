using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// A thread that runs turns while it holds a <see cref="Processor"/>, and is a parked spare while it holds none: Go's M. It never dies of a
/// turn. When a turn blocks, the monitor takes its processor away; the worker finds out when the turn has returned.
/// </summary>
internal sealed class Worker
{
    /// <summary>
    /// Bytes. A turn that has sent more lets others run before it goes on: a peer that takes everything would otherwise keep the worker to
    /// itself. Copying so much into the kernel takes some ten microseconds, and going on later costs a few.
    /// </summary>
    internal const long OutputBudget = 64 * 1024;

    // A turn that writes to many connections sends what comes after these at once.
    private const int MaxHeldInTurn = 64;

    private readonly Thread _thread;
    private readonly Parker _parker;
    private readonly string _name;
    private ExecutionContext? _defaultContext;

    // What it holds. Written by who gives it, before the thread starts or while it is parked, then by the worker alone.
    private Processor? _processor;

    // What the turn has promised to send at its end. Pushed and popped by the worker; the monitor takes all of it when the processor is
    // handed on, or when the turn takes too long; then it is left to somebody else, who does not wait for this turn.
    private TurnList<HeldOutput> _held;

    // For the worker alone: how many entries this turn has made.
    private int _heldInTurn;

    // See HeldSince. Stays if the monitor empties the list in the middle of the turn: what is held after that leaves at its next look.
    private long _heldSince;

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

    /// <summary>The limit knows already that it is about to end. Written once, by who decides that.</summary>
    internal bool IsLeaving { get; set; }

    /// <summary>The kernel's id of the thread.</summary>
    internal int ThreadId => Volatile.Read(ref _threadId);

    /// <summary>For the monitor, which asks thousands of times a second: where the kernel says what the thread is doing.</summary>
    internal string StatPath => _statPath ??= $"/proc/self/task/{ThreadId}/stat";

    /// <summary>Is the thread inside a wait that the runtime knows of: a sleep, a lock, an event, a task? Any thread.</summary>
    internal bool IsInManagedWait => (_thread.ThreadState & System.Threading.ThreadState.WaitSleepJoin) != 0;

    internal Thread Thread => _thread;

    /// <summary>
    /// For a turn that has lost its processor: has it not returned yet? Any thread; may be a moment old. The number of a state never comes
    /// back, and the worker gets the same processor again only after it has returned, and is its holder then.
    /// </summary>
    internal bool IsStillIn(Processor processor, long turnState) =>
        Volatile.Read(ref _processor) == processor && Volatile.Read(ref _turnState) == turnState && processor.Holder != this;

    /// <summary>For the worker itself, inside a turn: has the monitor left the processor to it?</summary>
    internal bool HoldsProcessorOfTurn => _processor is { } processor && processor.State == _turnState;

    internal bool HasProcessor => Volatile.Read(ref _processor) is not null;

    /// <summary>
    /// Once the monitor has stopped: is the worker inside a turn, whether it still has its processor or not? Any thread; may be a moment
    /// old.
    /// </summary>
    internal bool IsInTurn =>
        Volatile.Read(ref _processor) is { } processor && (processor.Holder != this || Processor.IsInTurn(processor.State));

    /// <summary>
    /// Written by the monitor before it takes the processor of a turn away: does it do so because the turn computes? Read by the worker
    /// once it has lost it.
    /// </summary>
    internal bool Detaches { get; set; }

    /// <summary>Does the turn hold output? Any thread; may be a moment old.</summary>
    internal bool HoldsOutput => !_held.IsEmpty;

    /// <summary>
    /// Since when, on the monotonic clock. Written by the worker, or by who gives it the processor, with a full fence before
    /// <see cref="HoldsOutput"/> says so; any thread may read it after that, and gets the time of this turn, of an earlier one if that has
    /// just ended, or of a later one.
    /// </summary>
    internal long HeldSince => Volatile.Read(ref _heldSince);

    /// <summary>For the worker itself: the bytes that connections have sent in this turn. See <see cref="OutputBudget"/>.</summary>
    internal long OutputOfTurn { get; set; }

    /// <summary>
    /// For the worker itself, inside a turn: has it sent as much as a turn may, so that the rest had better wait for its place in the
    /// queue? Not if the turn keeps nobody waiting: then its share begins anew, as it does once it has no processor any more. Nor if there
    /// may be no worker for that place, should the turn block for it.
    /// </summary>
    internal bool YieldsOutput()
    {
        if (OutputOfTurn < OutputBudget || !HoldsProcessorOfTurn || !Group.MayGetWorker)
        {
            return false;
        }

        if (Group.KeepsWaiting(_processor!))
        {
            return true;
        }

        OutputOfTurn = 0;
        return false;
    }

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
    /// <param name="held">What the turn of its last holder has held, to be sent first; see <see cref="TakeHeld"/>.</param>
    internal void Give(Processor processor, HeldOutput? held)
    {
        Volatile.Write(ref _heldSince, MonotonicClock.Now);
        while (held is { } output)
        {
            held = output.Next;
            _held.Push(output);
        }

        Volatile.Write(ref _processor, processor);
        _parker.Unpark();
    }

    /// <summary>Ends a worker that has no processor. By the one who took it off the spares.</summary>
    internal void Dismiss()
    {
        _isDismissed = true;
        _parker.Unpark();
    }

    /// <summary>
    /// For code inside the worker's turn, on its thread: leaves the output to the end of the turn. The owner has listed it, and holds the
    /// lock that its <see cref="Turn.Run"/> takes; once that is released it calls <see cref="SystemMonitor.OnHeld"/>. False: it is in no
    /// list any more, since nobody would notice if this turn blocked, or the list is long; send it.
    /// </summary>
    internal bool TryHold(HeldOutput output)
    {
        if (_heldInTurn == MaxHeldInTurn || !HoldsProcessorOfTurn || Group.Monitor is not { IsStopping: false } monitor)
        {
            output.Unlist();
            return false;
        }

        if (_heldInTurn == 0)
        {
            Volatile.Write(ref _heldSince, MonotonicClock.Now);
        }

        // A full fence: the monitor takes the processor away, and then the list; this is the other way round. One of them sees the other.
        _held.Push(output);
        if (!HoldsProcessorOfTurn || monitor.IsStopping)
        {
            if (_held.TryPop() is not { } own)
            {
                // Somebody else has taken it, and is about to send it.
                return true;
            }

            own.Unlist();
            return false;
        }

        _heldInTurn++;
        return true;
    }

    /// <summary>Takes what the turn has held, and leaves sending it to the caller. Any thread.</summary>
    internal HeldOutput? TakeHeld() => _held.TakeAll();

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

    /// <summary>What a turn threw is its own affair. A handler that logs runs foreign code, which may throw, too.</summary>
    internal static void Report(Turn turn, Exception exception)
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
        // What came with the processor: as a turn, which is watched, because whoever sends may log, hence block.
        if (HoldsOutput && !Run(processor, NoTurn.Instance))
        {
            return;
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
        OutputOfTurn = 0;
        try
        {
            turn.Run();
        }
        catch (Exception exception)
        {
            Group.OnTurnFailed();
            Report(turn, exception);
        }

        SendHeld();
        Clean();
        if (processor.TryEndTurn(state))
        {
            if (OutputOfTurn >= OutputBudget)
            {
                // A turn as long as this had better not be followed by many of its kind, while connections that begin wait in the group's
                // queue.
                processor.Tick = WorkerGroup.TickBeforeGroupLook;
            }

            return true;
        }

        _processor = null;
        if (Detaches)
        {
            Group.OnDetachedEnded();
        }

        return false;
    }

    // One by one: if one of them blocks, the monitor sees to the rest.
    private void SendHeld()
    {
        _heldInTurn = 0;
        while (_held.TryPop() is { } output)
        {
            output.Unlist();
            RunGuarded(output);
        }
    }

    // Whatever the turn left behind on the thread must not reach the next connection's app. The culture goes with the context. Only a
    // pending Thread.Interrupt stays: nothing but a wait would take it off the thread.
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

    // Its end is all there is to it.
    private sealed class NoTurn : Turn
    {
        internal static readonly NoTurn Instance = new();

        internal override void Run()
        {
        }

        internal override void OnUnhandledException(Exception exception)
        {
        }
    }
}
