using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>How a <see cref="NetpollRuntime"/> is built.</summary>
internal sealed class NetpollRuntimeOptions
{
    internal const int DefaultMaxWorkerCount = 10_000;

    /// <summary>Threads that run turns and are not blocked, of all groups together. Default: one per processor.</summary>
    internal int WorkerCount { get; init; } = Environment.ProcessorCount;

    /// <summary>
    /// All worker threads together, those that are blocked and the spares included. At least <see cref="WorkerCount"/>. There are fewer if
    /// the system has no room for them: see <see cref="WorkerHeadroom"/>.
    /// </summary>
    internal int MaxWorkerCount { get; init; } = DefaultMaxWorkerCount;

    /// <summary>What the system has room for; null: what the kernel says.</summary>
    internal SystemResources? Resources { get; init; }

    /// <summary>How long a spare worker waits for something to do before it ends.</summary>
    internal TimeSpan SpareIdleTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the end of the runtime waits for workers that are inside a turn, if nobody says otherwise.</summary>
    internal TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Whether a blocked worker's place is handed on. False where nothing blocks, or nobody is to notice, as in some tests: then there is
    /// no monitor.
    /// </summary>
    internal bool HandsOff { get; init; } = true;

    /// <summary>Whether workers may stay awake for a moment when they have nothing to do: see <see cref="BusyPolling"/>.</summary>
    internal bool BusyPolls { get; init; } = Environment.ProcessorCount > 1;

    /// <summary>What only makes it quicker; everything.</summary>
    internal EngineParts Parts { get; init; } = new();

    /// <summary>Told, at most every 10 seconds and on the thread pool, that a blocked worker's place could not be handed on.</summary>
    internal Action<WorkerLimitReached>? OnWorkerLimitReached { get; init; }

    /// <summary>Told, on the monitor's thread, what the monitor sees; null: nobody is.</summary>
    internal IMonitorObserver? Observer { get; init; }

    /// <summary>Groups that the processors are divided into, each with a poller of its own; at most as many as workers.</summary>
    internal int GroupCount { get; init; } = 1;

    /// <summary>
    /// Events fetched per wait by a processor that is alone, because the others are idle or there are none, or whose group has short turns.
    /// Otherwise it fetches 2 at most: what one worker has fetched and not yet run, no other worker can run. On 2 cores shared with the
    /// load, 16 instead of 2 more than doubled the 99th percentile while two workers shared the events.
    /// </summary>
    internal int EventBatchSize { get; init; } = 8;

    /// <summary>What tells the groups of readiness.</summary>
    internal PollerBackend Backend { get; init; } = PollerBackend.Epoll;

    /// <summary>The prefix of the workers' thread names.</summary>
    internal string Name { get; init; } = "netpoll";
}
