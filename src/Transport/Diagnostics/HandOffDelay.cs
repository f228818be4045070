using System.Diagnostics.Metrics;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>How long a turn had lasted when its processor was taken away.</summary>
internal sealed class HandOffDelay(Meter meter)
{
    internal const string Name = "netpoll.handoff.delay";
    internal const string ReasonTag = "netpoll.handoff.reason";

    private const double NanosecondsPerSecond = 1e9;

    private readonly Histogram<double> _histogram = meter.CreateHistogram(
        Name,
        "s",
        "How long turns had lasted, since they were noticed, when another worker took their place.",
        tags: null,
        new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10],
        });

    /// <summary>A look at a field; runs nobody's code.</summary>
    internal bool IsListenedTo => _histogram.Enabled;

    /// <summary>Runs the code of whoever listens.</summary>
    internal void Record(HandOffReason reason, long nanoseconds) =>
        _histogram.Record(nanoseconds / NanosecondsPerSecond, new KeyValuePair<string, object?>(ReasonTag, NameOf(reason)));

    internal static string NameOf(HandOffReason reason) => reason switch
    {
        HandOffReason.ManagedWait => "managed_wait",
        HandOffReason.KernelWait => "kernel_wait",
        HandOffReason.Computing => "computing",
        HandOffReason.ShortWaits => "short_waits",
        _ => "long_turn",
    };
}
