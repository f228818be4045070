using System.Diagnostics.Metrics;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// The transport's counters as metrics, in place of those of System.Net.Sockets, which knows nothing of connections served here. All are
/// observed: nobody who does not listen pays for them.
/// </summary>
internal static class NetpollMetrics
{
    /// <summary>The name of the meter.</summary>
    internal const string MeterName = "KestrelNetpoll.Transport";

    private const string DirectionTag = "network.io.direction";

    /// <summary>The meter belongs to its factory, which the service provider disposes of.</summary>
    internal static void Register(IMeterFactory meterFactory, Func<NetpollTransportStatistics> read)
    {
        Meter meter = meterFactory.Create(MeterName);
        meter.CreateObservableCounter(
            "netpoll.accepted_connections", () => read().AcceptedConnections, "{connection}", "Connections accepted.");
        meter.CreateObservableUpDownCounter(
            "netpoll.active_connections", () => (long)read().ActiveConnections, "{connection}", "Connections accepted and not yet disposed.");
        meter.CreateObservableCounter("netpoll.io", () => Bytes(read()), "By", "Bytes received and sent.");
        meter.CreateObservableCounter("netpoll.polls", () => read().Polls, "{poll}", "Waits for events that have returned.");
        meter.CreateObservableCounter("netpoll.events", () => read().Events, "{event}", "Events fetched from the kernel.");
        meter.CreateObservableCounter("netpoll.turns", () => read().Turns, "{turn}", "Continuations run by the workers.");
        meter.CreateObservableCounter("netpoll.wakeups", () => read().Wakeups, "{wakeup}", "Times that a sleeping worker was woken for work that is no event.");
        meter.CreateObservableCounter("netpoll.handoffs", () => read().HandOffs, "{handoff}", "Times that a worker the application blocked was replaced.");
        meter.CreateObservableUpDownCounter("netpoll.workers", () => (long)read().Workers, "{thread}", "Worker threads, blocked ones and spares included.");
    }

    private static Measurement<long>[] Bytes(NetpollTransportStatistics statistics) =>
    [
        new(statistics.BytesReceived, new KeyValuePair<string, object?>(DirectionTag, "receive")),
        new(statistics.BytesSent, new KeyValuePair<string, object?>(DirectionTag, "transmit")),
    ];
}
