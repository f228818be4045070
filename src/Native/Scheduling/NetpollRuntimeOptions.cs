namespace KestrelNetpoll.Native.Scheduling;

/// <summary>How a <see cref="NetpollRuntime"/> is built.</summary>
internal sealed class NetpollRuntimeOptions
{
    /// <summary>Threads that run turns, of all groups together. Default: one per processor.</summary>
    internal int WorkerCount { get; init; } = Environment.ProcessorCount;

    /// <summary>Groups that the workers are divided into, each with a poller of its own; at most as many as workers.</summary>
    internal int GroupCount { get; init; } = 1;

    /// <summary>
    /// Events fetched per wait. Small on purpose: what one worker has fetched and not yet run, no other worker can run. On 2 cores shared
    /// with the load, 16 instead of 2 more than doubled the 99th percentile and saved no CPU that could be told from noise.
    /// </summary>
    internal int EventBatchSize { get; init; } = 2;

    /// <summary>The prefix of the workers' thread names.</summary>
    internal string Name { get; init; } = "netpoll";
}
