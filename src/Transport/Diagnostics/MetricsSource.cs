using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>Where the instruments of <see cref="NetpollMetrics"/> get their numbers. All may be called from any thread, several at
/// once.</summary>
internal sealed class MetricsSource
{
    /// <summary>The counters, in which the bytes may be missing.</summary>
    internal required Func<NetpollTransportStatistics> Counters { get; init; }

    /// <summary>The bytes, which take a walk over all connections, and so have a call of their own.</summary>
    internal required Func<(long Received, long Sent)> Bytes { get; init; }

    /// <summary>None before the first endpoint is bound.</summary>
    internal required Func<IReadOnlyList<WorkerGroup>> Groups { get; init; }

    internal required Func<int> Lingering { get; init; }

    internal required Func<ListenerState[]> Listeners { get; init; }

    /// <summary>Asks the kernel.</summary>
    internal required Func<IReadOnlyList<NetpollAcceptQueueDepth>> AcceptQueues { get; init; }

    internal required Func<int> MaxWorkerCount { get; init; }
}
