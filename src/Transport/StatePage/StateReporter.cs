using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>Makes a report of what there is at the moment. Thread-safe.</summary>
/// <param name="source">The transport; null: the host has none.</param>
internal sealed class StateReporter(StateSource? source)
{
    private const string Name = "netpoll";
    private const double NanosecondsPerSecond = 1e9;
    private const string Missing = "The host has no netpoll transport: UseNetpollTransport has not been called.";

    private readonly ProcessReport _process = DescribeProcess();

    /// <param name="query">Which connections to list.</param>
    /// <param name="server">What the server says of itself.</param>
    /// <param name="request">Who asks.</param>
    internal StateReport Create(ConnectionQuery query, ServerFacts server, RequestFacts request)
    {
        ListenerState[] listeners = source?.Metrics.Listeners() ?? [];
        IReadOnlyList<WorkerGroup> groups = source?.Metrics.Groups() ?? [];
        EndPoint[] endPoints = [.. listeners.Select(static listener => listener.EndPoint)];
        long now = MonotonicClock.Now;
        return new StateReport
        {
            At = DateTimeOffset.UtcNow,
            Clock = now / NanosecondsPerSecond,
            Process = _process,
            Transport = DescribeTransport(listeners.Length, groups.Count, server, request),
            Addresses = [.. server.Addresses.Select(address => new AddressReport(address, ServerAddresses.ServedBy(address, endPoints)))],
            Endpoints = DescribeEndpoints(listeners),
            Counters = ReadCounters(),
            Workers = CountWorkers(groups),
            HandOffs = Enum.GetValues<HandOffReason>().ToDictionary(
                HandOffDelay.NameOf, reason => groups.Sum(group => group.HandOffsFor(reason))),
            Connections = DescribeConnections(query, request.ConnectionId, now),
            BlockedTurns = DescribeBlockedTurns(),

            // Last: the probe may have to wait for the turn in which this runs, and would take the time of all that for waiting work.
            Work = new WorkReport(
                groups.Sum(static group => group.QueuedTurns),
                groups.Select(static group => group.QueueProbe.Ask()).DefaultIfEmpty().Max() / NanosecondsPerSecond),
        };
    }

    private static ProcessReport DescribeProcess()
    {
        using var process = Process.GetCurrentProcess();
        return new ProcessReport(
            Environment.ProcessId,
            process.StartTime.ToUniversalTime(),
            RuntimeInformation.FrameworkDescription,
            Environment.ProcessorCount);
    }

    private TransportReport DescribeTransport(int listeners, int groups, ServerFacts server, RequestFacts request)
    {
        NetpollTransportOptions? options = source?.Options();
        string? obstacle = source is null ? Missing : source.Obstacle();
        return new TransportReport(
            Name,
            source is null ? "missing" : listeners != 0 ? "serving" : obstacle is null ? "idle" : "unsupported",
            obstacle,
            source?.IsEnding() == true,
            source?.Backend(),
            options?.ApplicationScheduling.ToString(),
            options?.WorkerCount ?? 0,
            options?.MaxWorkerCount ?? 0,
            groups,
            server.Transports,
            request.IsOnNetpoll ? ServerAddresses.Netpoll : ServerAddresses.Another);
    }

    private EndpointReport[] DescribeEndpoints(ListenerState[] listeners)
    {
        if (source is null)
        {
            return [];
        }

        // Worker groups may have a socket each.
        ILookup<EndPoint, NetpollAcceptQueueDepth> queues = source.Metrics.AcceptQueues().ToLookup(static queue => queue.EndPoint);
        return
        [
            .. listeners.Select(listener => new EndpointReport(
                listener.EndPoint.ToString()!,
                queues.Contains(listener.EndPoint) ? queues[listener.EndPoint].Sum(static queue => queue.Pending) : null,
                queues.Contains(listener.EndPoint) ? queues[listener.EndPoint].Sum(static queue => queue.Limit) : null,
                listener.Pauses,
                listener.IsPaused)),
        ];
    }

    private NetpollTransportStatistics ReadCounters()
    {
        if (source is null)
        {
            return default;
        }

        (long received, long sent) = source.Metrics.Bytes();
        return source.Metrics.Counters() with { BytesReceived = received, BytesSent = sent };
    }

    private static WorkersReport CountWorkers(IReadOnlyList<WorkerGroup> groups)
    {
        WorkerStates[] states = [.. groups.Select(static group => group.CountWorkers())];
        return new WorkersReport(
            states.Sum(static state => state.Running),
            states.Sum(static state => state.Idle),
            states.Sum(static state => state.Blocked),
            states.Sum(static state => state.Spare),
            groups.Sum(static group => group.RefusedTurns));
    }

    private ConnectionsReport DescribeConnections(ConnectionQuery query, string? own, long now)
    {
        ConnectionTracker? tracker = source?.Connections();
        int open;
        int matching;
        ConnectionReport[] listed;
        if (query is { Limit: 0, Filter.Length: 0 })
        {
            // Whoever wants no more than numbers does not make anybody walk.
            open = matching = tracker?.Count ?? 0;
            listed = [];
        }
        else
        {
            List<TrackedConnection> all = tracker?.FindAll() ?? [];
            open = all.Count;
            listed = ConnectionTable.Select(all.Select(static connection => connection.View), query, now, own, out matching);
        }

        return new ConnectionsReport
        {
            Open = open,
            Lingering = source?.Metrics.Lingering() ?? 0,
            Matching = matching,
            LeftOut = matching - listed.Length,
            Listed = listed,
        };
    }

    private BlockedTurnsReport DescribeBlockedTurns()
    {
        NetpollTransportOptions? options = source?.Options();
        long seen = 0;
        BlockedTurnHistory.Entry[] entries = source?.BlockedTurns.Read(out seen) ?? [];
        return new BlockedTurnsReport
        {
            ThresholdSeconds = options?.BlockedTurnThreshold?.TotalSeconds,
            NamesRequests = options?.NameBlockedRequests == true,
            Seen = seen,
            Listed = [.. entries.Select(static entry => Describe(entry))],
        };
    }

    private static BlockedTurnReport Describe(BlockedTurnHistory.Entry entry)
    {
        BlockedTurnEventArgs blocked = entry.Blocked;
        return new BlockedTurnReport(
            entry.At,
            blocked.BlockedFor.TotalSeconds,
            blocked.Cause switch
            {
                BlockedTurnCause.ManagedWait => "managed_wait",
                BlockedTurnCause.KernelCall => "kernel_call",
                BlockedTurnCause.Computing => "computing",
                _ => "unknown",
            },
            blocked.KernelCall,
            blocked.Method,
            blocked.Path,
            blocked.Route,
            blocked.ConnectionId,
            blocked.RemoteEndPoint?.ToString(),
            blocked.LocalEndPoint?.ToString(),
            blocked.ThreadId);
    }
}

/// <param name="Addresses">Those that it listens on.</param>
/// <param name="Transports">Those that are registered, in the order in which they are asked.</param>
internal sealed record ServerFacts(IReadOnlyCollection<string> Addresses, string[] Transports);

/// <param name="ConnectionId">The connection it has come on.</param>
/// <param name="IsOnNetpoll">Is that one of ours?</param>
internal sealed record RequestFacts(string? ConnectionId, bool IsOnNetpoll);
