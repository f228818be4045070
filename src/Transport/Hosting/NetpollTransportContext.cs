using System.Buffers;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.WorkersOnly;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>The engine of one factory, its pools, and its counters, from start to stop.</summary>
internal sealed class NetpollTransportContext : INetpollTransportFeature
{
    private const string TransportName = "netpoll";

    // The tag on the pool metrics: the same as for Kestrel's other transports, so that dashboards keep working.
    private const string PoolOwner = "kestrel";

    // Kestrel reads the same switch for its own part of an abort.
    private const string FinOnErrorSwitch = "Microsoft.AspNetCore.Server.Kestrel.FinOnError";

    // By WorkerGroup.Id.
    private readonly MemoryPool<byte>[] _pools;
    private readonly bool _ownsPools;

    private readonly ILogger _logger;

    private readonly NetpollTransportOptions _options;
    private readonly AcceptRefusals _refusals = new();

    // Of all endpoints that do not count for themselves.
    private readonly AddressCounts? _addressCounts;

    /// <exception cref="PlatformNotSupportedException">The engine cannot run in this process.</exception>
    internal NetpollTransportContext(
        NetpollTransportOptions options,
        ILogger logger,
        IMemoryPoolFactory<byte>? memoryPoolFactory,
        PlatformSupport platform,
        IMonitorObserver? observer = null)
    {
        if (platform.ObstacleTo(options.EffectiveBackend) is { } obstacle)
        {
            throw new PlatformNotSupportedException($"The netpoll transport cannot run here: {obstacle}");
        }

        _logger = logger;
        _options = options;
        _addressCounts = AddressCounts.From(options);
        DescriptorHeadroom headroom = platform.CreateHeadroom();
        if (headroom.IsScarce)
        {
            NetpollTransportLog.DescriptorsScarce(
                logger,
                headroom.Limit,
                headroom.InUseAtStart,
                Math.Max(0, headroom.FirstReserved - headroom.InUseAtStart),
                headroom.Limit - headroom.FirstReserved);
        }

        var parts = EngineParts.FromSwitches();
        Runtime = platform.Start(new NetpollRuntimeOptions
        {
            Parts = parts,
            WorkerCount = options.WorkerCount,
            MaxWorkerCount = options.MaxWorkerCount,
            GroupCount = options.EffectiveWorkerGroupCount,
            Backend = options.EffectiveBackend,
            OnWorkerLimitReached = reached => NetpollTransportLog.WorkerLimitReached(
                logger, reached.Workers, reached.Bound ?? $"MaxWorkerCount is {reached.Maximum}", reached.Refusal),
            Resources = platform.Resources,
            Observer = observer,
        });

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
            Runtime.Stop(TimeSpan.Zero);
            DisposePools();
            throw;
        }

        var connections = new ConnectionTracker();
        var shared = new ConnectionServices
        {
            Runtime = Runtime,
            Logger = logger,
            Pools = _pools,
            GroupContexts = options.ApplicationScheduling == ApplicationScheduling.WorkersOnly ? CreateGroupContexts(parts) : null,
            Feature = this,
            Headroom = headroom,
            Sweep = new ConnectionSweep(Runtime.Groups[0], connections, logger),
            Connections = connections,
            Scheduling = options.ApplicationScheduling,
            LearnsPlacement = parts.Placement,
            GathersFlushes = parts.GatherMeter,
            FinOnError = AppContext.TryGetSwitch(FinOnErrorSwitch, out bool finOnError) && finOnError,
        };
        Services = ForEndpoint(shared, options, _addressCounts);
    }

    public string Transport => TransportName;

    public string Backend => Runtime.Groups[0].Poller.Name;

    public int WorkerCount => Runtime.WorkerCount;

    public NetpollTransportStatistics Statistics
    {
        get
        {
            (long received, long sent) = Services.Connections.GetBytes();
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
                AcceptedConnections: Services.Connections.Accepted,
                ActiveConnections: Services.Connections.Count,
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
                FirstByteTimeouts = CountReached(ConnectionLimit.FirstByteTimeout),
                ReadIdleTimeouts = CountReached(ConnectionLimit.ReadIdleTimeout),
                WriteStallTimeouts = CountReached(ConnectionLimit.WriteStallTimeout),
                MaxConnectionAgesReached = CountReached(ConnectionLimit.MaxConnectionAge),
                RefusedConnections = _refusals.ByHook,
                ConnectionsOverAddressLimit = _refusals.ByAddress,
            };
        }
    }

    internal NetpollRuntime Runtime { get; }

    /// <summary>What listeners and connections use whose endpoints have no options of their own.</summary>
    internal ConnectionServices Services { get; }

    internal bool IsWorkerThread => Runtime.Groups.Any(static group => group.IsWorkerThread);

    /// <summary>What the listener and the connections of an endpoint use that has these options.</summary>
    internal ConnectionServices ServicesFor(NetpollTransportOptions options) => ReferenceEquals(options, _options)
        ? Services
        : ForEndpoint(Services, options, options.CountsAddressesApart ? AddressCounts.From(options) : _addressCounts);

    /// <summary>
    /// Stops the workers. Listeners and connections must have been closed. A handler that has not ended may still rent and return blocks:
    /// the pools go when the last connection has ended.
    /// </summary>
    /// <param name="timeout">How long workers that are in the middle of something are waited for.</param>
    /// <returns>How many of them have not come back.</returns>
    internal int Stop(TimeSpan timeout)
    {
        int leftBehind = Runtime.Stop(timeout);
        Task ended = Services.Connections.WhenEmptyAsync();
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

    private ConnectionServices ForEndpoint(ConnectionServices services, NetpollTransportOptions options, AddressCounts? addressCounts)
    {
        var limits = ConnectionLimits.From(options);
        if (limits is not null)
        {
            services.Sweep.Prepare(limits);
        }

        return services with
        {
            AcceptPolicy = AcceptPolicy.From(options.OnAccept, addressCounts, _refusals, _logger),
            Limits = limits,

            // 0 is how the pipes spell "no limit". The options have been validated: the values fit.
            MaxReadBufferSize = (int)(options.MaxReadBufferSize ?? 0),
            MaxWriteBufferSize = (int)(options.MaxWriteBufferSize ?? 0),
            HoldsBlock = !options.WaitForDataBeforeAllocatingBuffer,
        };
    }

    private async Task DisposePoolsAfterAsync(Task ended)
    {
        await ended.ConfigureAwait(false);
        DisposePools();
    }

    private void DisposePools()
    {
        if (_ownsPools)
        {
            foreach (MemoryPool<byte>? pool in _pools)
            {
                try
                {
                    pool?.Dispose();
                }
                catch (Exception e)
                {
                    // The pools are foreign code. There are others, and what else the process has to dispose of.
                    NetpollTransportLog.UnexpectedStopException(_logger, "disposing of a memory pool", e);
                }
            }
        }
    }

    private long CountReached(ConnectionLimit limit) => Services.Sweep.CountReached(limit);

    private GroupContext[] CreateGroupContexts(EngineParts parts)
    {
        var relays = new Relays();
        Func<object, bool> isRelay = parts.Relays ? relays.Contain : static _ => false;
        var inRelay = new ThreadLocal<bool>();
        return [.. Runtime.Groups.Select(group => new GroupContext(group, inRelay, OnApplicationException, isRelay))];
    }

    private void OnApplicationException(Exception exception) => NetpollTransportLog.ApplicationCallbackFailed(_logger, exception);
}
