namespace KestrelNetpoll.Perf.Compare.Model;

/// <summary>All figures there are. Times are in microseconds and sizes in bytes; what they are written in is the metric's matter.</summary>
internal static class Metrics
{
    private const double Millis = 1e-3;
    private const double Kilo = 1e-3;
    private const double Mega = 1e-6;

    internal static readonly Metric Rate = new("rate", "requests/s", Better.Higher, "/s", DependsOnGenerator: true);
    internal static readonly Metric Cpu = new("cpu", "server CPU per request", Better.Lower, "µs");
    internal static readonly Metric P50 = new("p50", "p50", Better.Lower, "ms", Millis, DependsOnGenerator: true);
    internal static readonly Metric P75 = new("p75", "p75", Better.Lower, "ms", Millis, DependsOnGenerator: true);
    internal static readonly Metric P90 = new("p90", "p90", Better.Lower, "ms", Millis, DependsOnGenerator: true);
    internal static readonly Metric P99 = new("p99", "p99", Better.Lower, "ms", Millis, DependsOnGenerator: true);
    internal static readonly Metric P999 = new("p99.9", "p99.9", Better.Lower, "ms", Millis, DependsOnGenerator: true);
    internal static readonly Metric Max = new("max", "max", Better.Lower, "ms", Millis, DependsOnGenerator: true);
    internal static readonly Metric Throughput = new("throughput", "throughput", Better.Higher, "MB/s", Mega, DependsOnGenerator: true);
    internal static readonly Metric BytesPerCpuSecond = new("bytesPerCpuSecond", "per CPU-second", Better.Higher, "MB", Mega);
    internal static readonly Metric Switches = new("switches", "context switches per request", Better.Lower, "");
    internal static readonly Metric SystemCalls = new("systemCalls", "system calls per request", Better.Lower, "");
    internal static readonly Metric Sends = new("sends", "sends per response", Better.Lower, "");
    internal static readonly Metric Compiled = new("compiled", "methods compiled meanwhile", Better.Neither, "");
    internal static readonly Metric Allocated = new("allocated", "allocated per request", Better.Lower, "B");
    internal static readonly Metric AllocationRate = new("allocationRate", "allocated per second", Better.Neither, "MB/s", Mega);
    internal static readonly Metric PeakMemory = new("peakMemory", "peak resident memory", Better.Lower, "MB", Mega);
    internal static readonly Metric ServerCores = new("serverCores", "processors the server used", Better.Neither, "");
    internal static readonly Metric GeneratorCores = new("generatorCores", "processors the load generator used", Better.Neither, "");
    internal static readonly Metric HeapPerConnection = new("heapPerConnection", "heap per connection", Better.Lower, "B");
    internal static readonly Metric ResidentPerConnection =
        new("residentPerConnection", "resident memory per connection", Better.Lower, "KB", Kilo);

    internal static readonly Metric IdleCpu = new("idleCpu", "CPU per second while idle", Better.Lower, "ms", Millis);
    internal static readonly Metric BlockingRate = new("blockingRate", "answers/s of the blocking route", Better.Higher, "/s");
    internal static readonly Metric OtherRate = new("otherRate", "answers/s to the others", Better.Higher, "/s");
    internal static readonly Metric NewRate = new("newRate", "answers/s on new connections", Better.Higher, "/s");
    internal static readonly Metric TlsRate = new("tlsRate", "answers/s over TLS", Better.Higher, "/s");
    internal static readonly Metric WebSocketRate = new("webSocketRate", "WebSocket round trips/s", Better.Higher, "/s");
    internal static readonly Metric UploadRate = new("uploadRate", "uploads/s", Better.Higher, "/s");
    internal static readonly Metric NewP50 = new("newP50", "new connection, p50", Better.Lower, "ms", Millis);
    internal static readonly Metric NewP99 = new("newP99", "new connection, p99", Better.Lower, "ms", Millis);
    internal static readonly Metric NewMax = new("newMax", "new connection, max", Better.Lower, "ms", Millis);
    internal static readonly Metric Stopped = new("stopped", "times the quota stopped the server", Better.Lower, "");
    internal static readonly Metric Unanswered = new("unanswered", "unanswered after a second more", Better.Lower, "");
    internal static readonly Metric Held = new("held", "part of the rate that was answered in time", Better.Higher, "");
    internal static readonly Metric SentLate = new("sentLate", "sent late by the load generator, p99", Better.Neither, "ms", Millis);
    internal static readonly Metric FirstAnswer = new("firstAnswer", "start to first answer", Better.Lower, "ms", Millis);
    internal static readonly Metric StartCpu = new("startCpu", "CPU until the first answer", Better.Lower, "ms", Millis);

    internal static readonly IReadOnlyList<Metric> All =
    [
        Rate, Cpu, P50, P75, P90, P99, P999, Max, Throughput, BytesPerCpuSecond, Switches, SystemCalls, Sends, Compiled, Allocated,
        AllocationRate, PeakMemory, ServerCores, GeneratorCores, HeapPerConnection, ResidentPerConnection, IdleCpu,
        BlockingRate, OtherRate, NewRate, TlsRate, WebSocketRate, UploadRate, NewP50, NewP99, NewMax,
        Unanswered, Stopped, Held, SentLate, FirstAnswer, StartCpu,
    ];

    /// <summary>Those that make a curve, with the fraction that each stands for.</summary>
    internal static readonly IReadOnlyList<(Metric Metric, double Fraction)> Percentiles =
        [(P50, 0.5), (P75, 0.75), (P90, 0.9), (P99, 0.99), (P999, 0.999)];

    private static readonly Dictionary<string, Metric> ById = All.ToDictionary(static metric => metric.Id);

    internal static Metric Get(string id) => ById[id];
}
