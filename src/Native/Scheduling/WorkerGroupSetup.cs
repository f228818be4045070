namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What a <see cref="WorkerGroup"/> is made of.</summary>
/// <param name="Name">The prefix of its threads' names.</param>
/// <param name="ProcessorCount">How many turns run at once.</param>
/// <param name="EventBatchSize">Events fetched per wait by a processor that is alone, or whose group has short turns; otherwise 2 at
/// most.</param>
/// <param name="SpareIdleTime">How long a spare waits for something to do before it ends.</param>
/// <param name="Limit">How many workers there may be; shared with other groups.</param>
/// <param name="Monitor">Who hands blocked workers' processors on; null if turns never block.</param>
internal sealed record WorkerGroupSetup(
    string Name,
    int ProcessorCount,
    int EventBatchSize,
    TimeSpan SpareIdleTime,
    WorkerLimit Limit,
    SystemMonitor? Monitor = null)
{
    /// <summary>Whether a processor may stay awake for a moment when it has nothing to do: see <see cref="BusyPolling"/>.</summary>
    internal bool BusyPolls { get; init; }

    /// <summary>Whether processors rest while others can do the work: see <see cref="IdleProcessors"/>.</summary>
    internal bool Gathers { get; init; } = true;

    /// <summary>Whether long turns end that: see <see cref="LoadMeter"/>.</summary>
    internal bool MetersLoad { get; init; } = true;
}
