using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The right to run turns, and what goes with it: Go's P. A group has a fixed number of them; the worker that holds one runs turns. When
/// that worker blocks inside a turn, the monitor takes the processor away, with everything in its queue, and gives it to another worker.
/// </summary>
/// <remarks>
/// The state word counts up by one with each change: even while the holder is between turns, odd while it is inside one.
/// <code>
///   who            from   to      when
///   holder         even   odd     it begins a turn                     (an increment: nobody else may leave an even state. The
///                                                                      monitor's doze relies on its fence)
///   holder         odd    even    the turn has returned                (compare-and-swap)
///   monitor        odd    even    it takes the processor away          (compare-and-swap)
/// </code>
/// Either the holder or the monitor ends a turn's state, never both, and a number never comes back. The worker that finds its state gone
/// has lost the processor, and must not touch it again. So everything here but the state word belongs to the holder, as long as it is
/// between turns; code inside a turn uses none of it, because it may lose it at any moment.
/// </remarks>
internal sealed class Processor
{
    /// <summary><see cref="SleepsUntil"/> of a processor whose worker is not asleep: later than any deadline, so that it covers
    /// none.</summary>
    internal const long Awake = long.MaxValue;

    private long _state;

    // Written under the lock of the group's idle processors; the worker that parks reads it without.
    private volatile bool _isIdle;

    // Written by the holder before the state becomes odd; read by the monitor, which then takes that very state away, or does nothing.
    private Turn? _current;

    // Written by the holder, read by those who arm deadlines. A sleep without end also reads as "covers none".
    private long _sleepsUntil = Awake;

    // Written by who gives the processor away: the group at its start, then the monitor, which alone reads it.
    private Worker? _holder;

    internal Processor(int id, PollEventBatch batch)
    {
        Id = id;
        Batch = batch;
        Ready = new ReadyList(batch.Capacity * 3);
        Load = new LoadMeter(Counters);
    }

    internal int Id { get; }

    internal RunQueue Queue { get; } = new();

    internal PollEventBatch Batch { get; }

    internal ReadyList Ready { get; }

    internal WorkerCounters Counters { get; } = new();

    /// <summary>For the holder.</summary>
    internal LoadMeter Load { get; }

    /// <summary>For the holder.</summary>
    internal BusyPolling BusyPolling { get; } = new();

    /// <summary>See <see cref="IdleProcessors"/>.</summary>
    internal bool IsIdle
    {
        get => _isIdle;
        set => _isIdle = value;
    }

    /// <summary>For the holder: was the group gathered when it last looked for work? See <see cref="WorkerGroup"/>'s idling.</summary>
    internal bool IsGathered { get; set; }

    /// <summary>Looks for a turn; for the holder. Every 61st looks at the group's queue first.</summary>
    internal uint Tick { get; set; }

    /// <summary>For the holder: how many turns of the group's queue have run since it last looked at the poller.</summary>
    internal int GroupTurnsSincePoll { get; set; }

    internal long SleepsUntil
    {
        get => Volatile.Read(ref _sleepsUntil);
        set => Volatile.Write(ref _sleepsUntil, value);
    }

    internal Worker? Holder
    {
        get => Volatile.Read(ref _holder);
        set => Volatile.Write(ref _holder, value);
    }

    /// <summary>For the monitor: the last state that it could not take away, because there was no worker to take over.</summary>
    internal long RefusedState { get; set; }

    /// <summary>The state in which another worker should run its turns, and there is none; 0: that is over. Written by the
    /// monitor.</summary>
    internal long WantingState { get; set; }

    /// <summary>Any thread.</summary>
    internal long State => Volatile.Read(ref _state);

    /// <summary>What runs in an odd <see cref="State"/>, if that is still the state afterwards.</summary>
    internal Turn? Current => Volatile.Read(ref _current);

    internal static bool IsInTurn(long state) => (state & 1) != 0;

    /// <summary>
    /// For the holder, between turns. A full fence: the monitor dozes off only after it has looked at the states once more, and the holder
    /// looks whether it dozes after this.
    /// </summary>
    /// <returns>The state to end the turn with.</returns>
    internal long BeginTurn(Turn turn)
    {
        Volatile.Write(ref _current, turn);
        return Interlocked.Increment(ref _state);
    }

    /// <summary>For the holder, after a turn, and for the monitor, during one. Only one of them succeeds, and is the holder from then
    /// on.</summary>
    internal bool TryEndTurn(long state) => Interlocked.CompareExchange(ref _state, state + 1, state) == state;

    /// <summary>For the holder: lets go of what has run.</summary>
    internal void Forget()
    {
        Volatile.Write(ref _current, null);
        Queue.ForgetTaken();
    }
}
