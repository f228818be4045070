using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// The transport's counters as metrics, in place of those of System.Net.Sockets, which knows nothing of connections served here. All are
/// observed, but for the time until a hand-off, which is not even taken unless somebody listens: nobody who does not pays for them.
/// </summary>
internal static class NetpollMetrics
{
    /// <summary>The name of the meter.</summary>
    internal const string MeterName = "KestrelNetpoll.Transport";

    internal const string DirectionTag = "network.io.direction";
    internal const string WorkerStateTag = "netpoll.worker.state";
    internal const string AddressTag = "server.address";
    internal const string PortTag = "server.port";
    internal const string LimitTag = "netpoll.limit";
    internal const string DeadlineOutcomeTag = "netpoll.deadline.outcome";

    private const double NanosecondsPerSecond = 1e9;

    /// <summary>The meter belongs to its factory, which the service provider disposes of.</summary>
    /// <param name="meterFactory">Makes the meter.</param>
    /// <param name="source">The numbers; each is asked for once for each instrument that is observed.</param>
    /// <returns>Where the time until a hand-off is to be recorded.</returns>
    internal static HandOffDelay Register(IMeterFactory meterFactory, MetricsSource source)
    {
        Meter meter = meterFactory.Create(MeterName);
        RegisterConnections(meter, source);
        RegisterAccepting(meter, source);
        RegisterWork(meter, source);
        RegisterWorkers(meter, source);
        return new HandOffDelay(meter);
    }

    private static void RegisterConnections(Meter meter, MetricsSource source)
    {
        meter.CreateObservableCounter(
            "netpoll.connection.accepted", () => source.Counters().AcceptedConnections, "{connection}", "Connections accepted.");
        meter.CreateObservableUpDownCounter(
            "netpoll.connection.active",
            () => (long)source.Counters().ActiveConnections,
            "{connection}",
            "Connections accepted and not yet disposed.");
        meter.CreateObservableUpDownCounter(
            "netpoll.lingering",
            () => (long)source.Lingering(),
            "{connection}",
            "Connections that have ended here, and wait for the peer to finish.");
        meter.CreateObservableCounter(
            "netpoll.connection.limit_hits",
            () => CountLimitHits(source.Counters()),
            "{connection}",
            "Connections that have reached a limit of the options, and end for it.");
        meter.CreateObservableCounter("netpoll.io", () => ToMeasurements(source.Bytes()), "By", "Bytes received and sent.");
    }

    private static void RegisterAccepting(Meter meter, MetricsSource source)
    {
        meter.CreateObservableCounter(
            "netpoll.accept.refused",
            () => CountRefused(source.Counters()),
            "{connection}",
            "Connections that were not accepted, because of an option.");
        meter.CreateObservableUpDownCounter(
            "netpoll.accept.queue",
            () => SumByEndPoint(source.AcceptQueues(), static queue => queue.Pending),
            "{connection}",
            "Connections that the kernel holds until they are accepted; of TCP endpoints.");
        meter.CreateObservableUpDownCounter(
            "netpoll.accept.queue_limit",
            () => SumByEndPoint(source.AcceptQueues(), static queue => queue.Limit),
            "{connection}",
            "How many it may hold.");
        meter.CreateObservableCounter(
            "netpoll.accept.pauses",
            () => source.Listeners().Select(static listener => Of(listener.EndPoint, listener.Pauses)),
            "{pause}",
            "Times that accepting paused, because the system had no room for another connection.");
        meter.CreateObservableUpDownCounter(
            "netpoll.accept.paused",
            () => source.Listeners().Select(static listener => Of(listener.EndPoint, listener.IsPaused ? 1 : 0)),
            "{endpoint}",
            "1 while accepting on the endpoint pauses.");
    }

    private static void RegisterWork(Meter meter, MetricsSource source)
    {
        meter.CreateObservableCounter("netpoll.polls", () => source.Counters().Polls, "{poll}", "Waits for events that have returned.");
        meter.CreateObservableCounter("netpoll.events", () => source.Counters().Events, "{event}", "Events fetched from the kernel.");
        meter.CreateObservableCounter(
            "netpoll.stale_events",
            () => source.Counters().StaleEvents,
            "{event}",
            "Events dropped, because their descriptor had been closed in the meantime.");
        meter.CreateObservableCounter(
            "netpoll.wakeups",
            () => source.Counters().Wakeups,
            "{wakeup}",
            "Times that a sleeping worker was woken for work that is no event.");
        meter.CreateObservableCounter("netpoll.turns", () => source.Counters().Turns, "{turn}", "Continuations run by the workers.");
        meter.CreateObservableCounter(
            "netpoll.failed_turns", () => source.Counters().FailedTurns, "{turn}", "Continuations that threw.");
        meter.CreateObservableCounter(
            "netpoll.stolen_turns",
            () => source.Counters().StolenTurns,
            "{turn}",
            "Continuations that an idle worker took over from a busy one.");
        meter.CreateObservableCounter(
            "netpoll.deadlines",
            () => CountDeadlines(source.Groups()),
            "{deadline}",
            "Timer entries that came due, by what became of them.");
        meter.CreateObservableUpDownCounter(
            "netpoll.queue.length",
            () => (long)source.Groups().Sum(static group => group.QueuedTurns),
            "{turn}",
            "Continuations that are ready and wait for a worker.");
        meter.CreateObservableGauge(
            "netpoll.queue.time",
            () => source.Groups().Select(static group => group.QueueProbe.Ask()).DefaultIfEmpty().Max() / NanosecondsPerSecond,
            "s",
            "How long work that was queued at the last observation has waited for a worker, or waits so far; of the slowest group.");
    }

    private static void RegisterWorkers(Meter meter, MetricsSource source)
    {
        meter.CreateObservableUpDownCounter(
            "netpoll.worker.count", () => CountWorkers(source.Groups()), "{thread}", "Worker threads, by what they are doing.");
        meter.CreateObservableUpDownCounter(
            "netpoll.worker.limit", () => (long)source.MaxWorkerCount(), "{thread}", "Worker threads that there may be: MaxWorkerCount.");
        meter.CreateObservableCounter(
            "netpoll.worker.limit_hits",
            () => source.Counters().WorkerLimitReached,
            "{thread}",
            "Blocked workers that could not be replaced, for a while at least.");
        meter.CreateObservableUpDownCounter(
            "netpoll.worker.missing",
            () => (long)source.Groups().Sum(static group => group.RefusedTurns),
            "{thread}",
            "Blocked workers that cannot be replaced now.");
        meter.CreateObservableUpDownCounter(
            "netpoll.turn.limit",
            () => (long)source.Groups().Sum(static group => group.ProcessorCount),
            "{turn}",
            "Continuations that may run at once: WorkerCount.");
        meter.CreateObservableUpDownCounter(
            "netpoll.group.count", () => (long)source.Groups().Count, "{group}", "Worker groups: WorkerGroupCount.");
        meter.CreateObservableCounter(
            "netpoll.handoffs",
            () => CountHandOffs(source.Groups()),
            "{handoff}",
            "Times that a worker the application blocked, or kept for long, was replaced.");
    }

    private static Measurement<long>[] ToMeasurements((long Received, long Sent) bytes) =>
    [
        Of(bytes.Received, DirectionTag, "receive"),
        Of(bytes.Sent, DirectionTag, "transmit"),
    ];

    private static Measurement<long>[] CountWorkers(IReadOnlyList<WorkerGroup> groups)
    {
        WorkerStates sum = default;
        foreach (WorkerGroup group in groups)
        {
            WorkerStates states = group.CountWorkers();
            sum = new WorkerStates(
                sum.Running + states.Running, sum.Idle + states.Idle, sum.Blocked + states.Blocked, sum.Spare + states.Spare);
        }

        return
        [
            Of(sum.Running, WorkerStateTag, "running"),
            Of(sum.Idle, WorkerStateTag, "idle"),
            Of(sum.Blocked, WorkerStateTag, "blocked"),
            Of(sum.Spare, WorkerStateTag, "spare"),
        ];
    }

    private static IEnumerable<Measurement<long>> CountHandOffs(IReadOnlyList<WorkerGroup> groups) =>
        Enum.GetValues<HandOffReason>().Select(reason =>
            Of(groups.Sum(group => group.HandOffsFor(reason)), HandOffDelay.ReasonTag, HandOffDelay.NameOf(reason)));

    private static IEnumerable<Measurement<long>> CountDeadlines(IReadOnlyList<WorkerGroup> groups) =>
        Enum.GetValues<DeadlineOutcome>().Select(outcome =>
            Of(groups.Sum(group => group.CountDeadlines(outcome)), DeadlineOutcomeTag, NameOf(outcome)));

    private static string NameOf(DeadlineOutcome outcome) => outcome switch
    {
        DeadlineOutcome.Timer => "timer",
        DeadlineOutcome.Passed => "passed",
        DeadlineOutcome.Rearmed => "rearmed",
        _ => "void",
    };

    private static Measurement<long> Of(long value, string tag, string tagValue) =>
        new(value, new KeyValuePair<string, object?>(tag, tagValue));

    private static Measurement<long>[] CountLimitHits(in NetpollTransportStatistics counters) =>
    [
        Of(counters.FirstByteTimeouts, LimitTag, "first_byte_timeout"),
        Of(counters.ReadIdleTimeouts, LimitTag, "read_idle_timeout"),
        Of(counters.WriteStallTimeouts, LimitTag, "write_stall_timeout"),
        Of(counters.MaxConnectionAgesReached, LimitTag, "max_connection_age"),
    ];

    private static Measurement<long>[] CountRefused(in NetpollTransportStatistics counters) =>
    [
        Of(counters.RefusedConnections, LimitTag, "on_accept"),
        Of(counters.ConnectionsOverAddressLimit, LimitTag, "max_connections_per_address"),
    ];

    // Worker groups may have a socket each.
    private static IEnumerable<Measurement<long>> SumByEndPoint(
        IReadOnlyList<NetpollAcceptQueueDepth> queues, Func<NetpollAcceptQueueDepth, long> number) =>
        queues.GroupBy(static queue => queue.EndPoint).Select(sockets => Of(sockets.Key, sockets.Sum(number)));

    private static Measurement<long> Of(EndPoint endPoint, long value) => endPoint switch
    {
        IPEndPoint ip => new Measurement<long>(
            value,
            new KeyValuePair<string, object?>(AddressTag, ip.Address.ToString()),
            new KeyValuePair<string, object?>(PortTag, ip.Port)),
        UnixDomainSocketEndPoint unix => Of(value, AddressTag, unix.ToString()),
        _ => new Measurement<long>(value),
    };
}
