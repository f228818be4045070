using System.Buffers;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Pipes;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// What the connections of one endpoint share, and those who accept them: pools, limits, and who is told of what. Most of it belongs to the
/// factory, and is the same for all endpoints.
/// </summary>
internal sealed record ConnectionServices
{
    internal required NetpollRuntime Runtime { get; init; }

    internal required ILogger Logger { get; init; }

    /// <summary>By <see cref="WorkerGroup.Id"/>. Blocks are rented and returned by the workers of one group, so each has its own.</summary>
    internal required IReadOnlyList<MemoryPool<byte>> Pools { get; init; }

    /// <summary>By <see cref="WorkerGroup.Id"/>: what the application runs under; null unless it is to run on workers only.</summary>
    internal required IReadOnlyList<GroupContext>? GroupContexts { get; init; }

    /// <summary>What a connection says of its transport.</summary>
    internal required INetpollTransportFeature Feature { get; init; }

    internal required DescriptorHeadroom Headroom { get; init; }

    /// <summary>Where does the application run?</summary>
    internal required ApplicationScheduling Scheduling { get; init; }

    /// <summary>May connections be read on the thread pool, if their requests go on there?</summary>
    internal bool LearnsPlacement { get; init; } = true;

    internal Placement Placement => Scheduling switch
    {
        ApplicationScheduling.ThreadPool => Placement.ThreadPool,
        ApplicationScheduling.Workers when LearnsPlacement => Placement.Learned,
        _ => Placement.Workers,
    };

    /// <summary>Are flushes outside of turns held, if another one is near?</summary>
    internal bool GathersFlushes { get; init; } = true;

    /// <summary>Does an abort end in a FIN instead of a RST?</summary>
    internal required bool FinOnError { get; init; }

    /// <summary>Keeps the limits, where there are any.</summary>
    internal required ConnectionSweep Sweep { get; init; }

    internal required ConnectionTracker Connections { get; init; }

    internal CorrelationIdGenerator ConnectionIds { get; } = new();

    internal LingeringSockets Lingering { get; } = new();

    /// <summary>Of the endpoint. 0: no limit.</summary>
    internal int MaxReadBufferSize { get; init; }

    /// <summary>Of the endpoint. 0: no limit.</summary>
    internal int MaxWriteBufferSize { get; init; }

    /// <summary>Of the endpoint: may a connection that waits for data hold a block?</summary>
    internal bool HoldsBlock { get; init; }

    /// <summary>Of the endpoint; null where all connections are served.</summary>
    internal AcceptPolicy? AcceptPolicy { get; init; }

    /// <summary>Of the endpoint; null where connections have no limits.</summary>
    internal ConnectionLimits? Limits { get; init; }
}
