namespace KestrelNetpoll.Native.Scheduling;

/// <summary>How a <see cref="NetpollRuntime"/> is built.</summary>
internal sealed class NetpollRuntimeOptions
{
    /// <summary>Threads that run turns. Default: one per processor.</summary>
    internal int WorkerCount { get; init; } = Environment.ProcessorCount;

    /// <summary>
    /// Events fetched per wait. Small on purpose: what one worker has fetched and not yet run, no other worker can run.
    /// </summary>
    internal int EventBatchSize { get; init; } = 8;

    /// <summary>The prefix of the workers' thread names.</summary>
    internal string Name { get; init; } = "netpoll";
}
