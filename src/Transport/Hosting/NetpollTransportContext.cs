using System.Buffers;
using System.Net;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Listening;
using KestrelNetpoll.Transport.WorkersOnly;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>What the listeners and connections of one factory share: the engine, its pools, the limits, the counters.</summary>
internal sealed class NetpollTransportContext : INetpollTransportFeature
{
    internal const string DefaultBackend = "epoll";

    private const string TransportName = "netpoll";
    // The tag on the pool metrics: the same as for Kestrel's other transports, so that dashboards keep working.
    private const string PoolOwner = "kestrel";

    // Kestrel reads the same switch for its own part of an abort.
    private const string FinOnErrorSwitch = "Microsoft.AspNetCore.Server.Kestrel.FinOnError";

    // By WorkerGroup.Id. Blocks are rented and returned by the workers of one group, so each group has its own pool.
    private readonly MemoryPool<byte>[] _pools;
    private readonly bool _ownsPools;

    // By WorkerGroup.Id; null unless the application is to run on workers only.
    private readonly GroupContext[]? _groupContexts;

    private long _acceptedConnections;

    internal NetpollTransportContext(
        NetpollTransportOptions options,
        ILogger logger,
        IMemoryPoolFactory<byte>? memoryPoolFactory,
        PlatformSupport platform,
        SystemCalls systemCalls)
    {
        Logger = logger;
        // 0 is how the pipes spell "no limit". The options have been validated: the values fit.
        MaxReadBufferSize = (int)(options.MaxReadBufferSize ?? 0);
        MaxWriteBufferSize = (int)(options.MaxWriteBufferSize ?? 0);
        HoldsBlock = !options.WaitForDataBeforeAllocatingBuffer;
        OnThreadPool = options.ApplicationScheduling == ApplicationScheduling.ThreadPool;
        FinOnError = AppContext.TryGetSwitch(FinOnErrorSwitch, out bool finOnError) && finOnError;
        Headroom = new DescriptorHeadroom(systemCalls, platform.ReadDescriptorLimit);
        if (Headroom.IsScarce)
        {
            NetpollTransportLog.DescriptorsScarce(
                logger, Headroom.Limit, Headroom.InUseAtStart, Math.Max(0, Headroom.FirstReserved - Headroom.InUseAtStart), Headroom.Limit - Headroom.FirstReserved);
        }

        Runtime = new NetpollRuntime(
            new NetpollRuntimeOptions
            {
                WorkerCount = options.WorkerCount,
                MaxWorkerCount = options.MaxWorkerCount,
                GroupCount = options.EffectiveWorkerGroupCount,
                OnWorkerLimitReached = reached => NetpollTransportLog.WorkerLimitReached(
                    logger, reached.Workers, reached.Bound ?? $"MaxWorkerCount is {reached.Maximum}", reached.Refusal),
                Resources = platform.Resources,
            },
            systemCalls);

        if (options.ApplicationScheduling == ApplicationScheduling.WorkersOnly)
        {
            var relays = new Relays();
            var inRelay = new ThreadLocal<bool>();
            _groupContexts = [.. Runtime.Groups.Select(group => new GroupContext(group, inRelay, OnApplicationException, relays.Contain))];
        }

        Multipath = new MultipathNotice(logger);
        AcceptPolicy = AcceptPolicy.From(options, logger, systemCalls);
        Sweep = ConnectionLimits.From(options) is { } limits
            ? new ConnectionSweep(limits, Runtime.Groups[0], Connections, logger)
            : null;

        // The process's shared pool is nobody's to dispose of.
        _ownsPools = memoryPoolFactory is not null;
        _pools = new MemoryPool<byte>[Runtime.Groups.Count];
        try
        {
            for (int i = 0; i < _pools.Length; i++)
            {
                _pools[i] = memoryPoolFactory?.Create(new MemoryPoolOptions { Owner = PoolOwner }) ?? MemoryPool<byte>.Shared;
            }
        }
        catch
        {
            // Nobody else knows of the workers that run by now.
            Stop(TimeSpan.Zero);
            throw;
        }
    }

    public string Transport => TransportName;

    public string Backend => Runtime.Groups[0].Poller.Name;

    public int WorkerCount => Runtime.WorkerCount;

    public NetpollTransportStatistics Statistics
    {
        get
        {
            (long received, long sent) = Connections.GetBytes();
            return Counters with { BytesReceived = received, BytesSent = sent };
        }
    }

    /// <summary>
    /// The statistics without the bytes, which are zero: costs the same, however many connections there are. Each number is read when it is
    /// its turn: nothing stops the workers for the sake of a consistent picture.
    /// </summary>
    internal NetpollTransportStatistics Counters
    {
        get
        {
            NetpollStatistics engine = Runtime.GetStatistics();
            return new NetpollTransportStatistics(
                AcceptedConnections: Volatile.Read(ref _acceptedConnections),
                ActiveConnections: Connections.Count,
                BytesReceived: 0,
                BytesSent: 0,
                Polls: engine.Polls,
                Events: engine.Events,
                StaleEvents: engine.StaleEvents,
                Wakeups: engine.Wakeups,
                Turns: engine.Turns,
                FailedTurns: engine.FailedTurns,
                StolenTurns: engine.StolenTurns,
                HandOffs: engine.HandOffs,
                Workers: engine.Workers,
                SpareWorkers: engine.SpareWorkers,
                WorkerLimitReached: engine.WorkerLimitReached)
            {
                FirstByteTimeouts = Sweep?.CountReached(ConnectionLimit.FirstByteTimeout) ?? 0,
                ReadIdleTimeouts = Sweep?.CountReached(ConnectionLimit.ReadIdleTimeout) ?? 0,
                WriteStallTimeouts = Sweep?.CountReached(ConnectionLimit.WriteStallTimeout) ?? 0,
                RefusedConnections = AcceptPolicy?.RefusedByHook ?? 0,
                ConnectionsOverAddressLimit = AcceptPolicy?.RefusedByAddress ?? 0,
                MaxConnectionAgesReached = Sweep?.CountReached(ConnectionLimit.MaxConnectionAge) ?? 0,
            };
        }
    }

    internal NetpollRuntime Runtime { get; }

    internal ILogger Logger { get; }

    internal DescriptorHeadroom Headroom { get; }

    internal int MaxReadBufferSize { get; }

    internal int MaxWriteBufferSize { get; }

    /// <summary>May a connection that waits for data hold a block?</summary>
    internal bool HoldsBlock { get; }

    /// <summary>Does the application run on the thread pool?</summary>
    internal bool OnThreadPool { get; }

    internal bool FinOnError { get; }

    internal CorrelationIdGenerator ConnectionIds { get; } = new();

    internal ConnectionTracker Connections { get; } = new();

    internal MultipathNotice Multipath { get; }

    /// <summary>Null where all connections are served.</summary>
    internal AcceptPolicy? AcceptPolicy { get; }

    /// <summary>Null where connections have no limits.</summary>
    internal ConnectionSweep? Sweep { get; }

    internal LingeringSockets Lingering { get; } = new();

    /// <summary>How long an unbind waits for Kestrel to begin with connections. Tests of slow ones have more patience.</summary>
    internal TimeSpan FirstReadTimeout { get; set; } = TimeSpan.FromSeconds(1);

    internal bool IsWorkerThread => Runtime.Groups.Any(static group => group.IsWorkerThread);

    /// <summary>
    /// Where a new connection goes that a group has accepted: to the group with the fewest descriptors, and rather to the one that has it in
    /// its hands than to another that is no better off.
    /// </summary>
    internal WorkerGroup ChooseGroup(WorkerGroup accepting)
    {
        if (Runtime.Groups.Count == 1)
        {
            return accepting;
        }

        WorkerGroup chosen = accepting;
        int fewest = accepting.Poller.Table.OpenCount;
        foreach (WorkerGroup group in Runtime.Groups)
        {
            int open = group.Poller.Table.OpenCount;
            if (open < fewest)
            {
                chosen = group;
                fewest = open;
            }
        }

        return chosen;
    }

    /// <summary>The context that the application's code runs under, for the connections of a group; null: none.</summary>
    internal GroupContext? ContextOf(WorkerGroup group) => _groupContexts?[group.Id];

    internal NetpollConnection CreateConnection(StreamSocket socket, EndPoint? localEndPoint) =>
        new(this, socket, _pools[socket.Group.Id], localEndPoint);

    /// <summary>A connection has been accepted, and is watched: only now can nothing go wrong with that any more.</summary>
    internal void CountAccepted() => Interlocked.Increment(ref _acceptedConnections);

    /// <summary>
    /// Stops the workers. Listeners and connections must have been closed. A handler that has not ended may still rent and return blocks:
    /// the pools go when the last connection has ended.
    /// </summary>
    /// <param name="timeout">How long workers that are in the middle of something are waited for.</param>
    /// <returns>How many of them have not come back.</returns>
    internal int Stop(TimeSpan timeout)
    {
        int leftBehind = Runtime.Stop(timeout);
        Task ended = Connections.WhenEmptyAsync();
        if (ended.IsCompleted)
        {
            DisposePools();
        }
        else
        {
            _ = DisposePoolsAfterAsync(ended);
        }

        return leftBehind;
    }

    private async Task DisposePoolsAfterAsync(Task ended)
    {
        await ended.ConfigureAwait(false);
        try
        {
            DisposePools();
        }
        catch (Exception e)
        {
            // The pools are foreign code, and nobody awaits this.
            NetpollTransportLog.UnexpectedException(Logger, connectionId: null, e);
        }
    }

    private void DisposePools()
    {
        if (_ownsPools)
        {
            foreach (MemoryPool<byte>? pool in _pools)
            {
                pool?.Dispose();
            }
        }
    }

    private void OnApplicationException(Exception exception) => NetpollTransportLog.ApplicationCallbackFailed(Logger, exception);
}
