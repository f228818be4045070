using System.Diagnostics.Metrics;

namespace KestrelNetpoll.Transport.Diagnostics;

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
    /// <param name="meterFactory">Makes the meter.</param>
    /// <param name="readCounters">The counters, in which the bytes may be missing; called once for each instrument that is
    /// observed.</param>
    /// <param name="readBytes">The bytes, which take a walk over all connections, and so have a call of their own.</param>
    internal static void Register(
        IMeterFactory meterFactory, Func<NetpollTransportStatistics> readCounters, Func<(long Received, long Sent)> readBytes)
    {
        Meter meter = meterFactory.Create(MeterName);
        meter.CreateObservableCounter(
            "netpoll.accepted_connections", () => readCounters().AcceptedConnections, "{connection}", "Connections accepted.");
        meter.CreateObservableUpDownCounter(
            "netpoll.active_connections",
            () => (long)readCounters().ActiveConnections,
            "{connection}",
            "Connections accepted and not yet disposed.");
        meter.CreateObservableCounter("netpoll.io", () => ToMeasurements(readBytes()), "By", "Bytes received and sent.");
        meter.CreateObservableCounter("netpoll.polls", () => readCounters().Polls, "{poll}", "Waits for events that have returned.");
        meter.CreateObservableCounter("netpoll.events", () => readCounters().Events, "{event}", "Events fetched from the kernel.");
        meter.CreateObservableCounter("netpoll.turns", () => readCounters().Turns, "{turn}", "Continuations run by the workers.");
        meter.CreateObservableCounter(
            "netpoll.wakeups",
            () => readCounters().Wakeups,
            "{wakeup}",
            "Times that a sleeping worker was woken for work that is no event.");
        meter.CreateObservableCounter(
            "netpoll.handoffs", () => readCounters().HandOffs, "{handoff}", "Times that a worker the application blocked was replaced.");
        meter.CreateObservableUpDownCounter(
            "netpoll.workers", () => (long)readCounters().Workers, "{thread}", "Worker threads, blocked ones and spares included.");
    }

    private static Measurement<long>[] ToMeasurements((long Received, long Sent) bytes) =>
    [
        new(bytes.Received, new KeyValuePair<string, object?>(DirectionTag, "receive")),
        new(bytes.Sent, new KeyValuePair<string, object?>(DirectionTag, "transmit")),
    ];
}
