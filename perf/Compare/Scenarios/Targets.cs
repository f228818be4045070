using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>What netpoll is to reach. One line for each scenario, or for a few alike: a bound is changed here and nowhere else.</summary>
internal static class Targets
{
    /// <summary>No worse than the Sockets transport.</summary>
    private const double Even = 1;

    /// <summary>What <c>WorkersOnly</c> may cost, beside the default.</summary>
    private const double WorkersOnlyCost = 1.05;

    private const double AnsweredInTime = 0.99;
    private const double SendsPerResponse = 1.05;
    private const double StreamedMedian = 100;
    private const double StreamedTail = 1000;

    // Of real applications: CPU per request, requests/s and p99.
    private static readonly Target[] Applications =
    [
        .. Load(["app-string", "app-json", "app-typed", "mvc-get"], cpu: 0.57, rate: 1.45, p99: Even),
        .. Load(["razor"], cpu: 0.75, rate: 1.15, p99: Even),
        .. Load(["app-post", "mvc-post"], cpu: 0.75, rate: 1.15, p99: Even),
        .. Load(["await-1"], cpu: 0.8, rate: 1.15, p99: Even),
        .. Load(["await-3"], cpu: 0.9, rate: Even, p99: Even),
        .. Load(["read-file", "static-10k"], cpu: 0.95, rate: Even, p99: Even),
        .. Load(["static-1m", "compressed-json"], cpu: 0.9, rate: 1.05, p99: Even),
        .. Load(["fortunes", "yarp", "http-client"], cpu: 0.9, rate: 1.05, p99: Even),
        .. Load(
            ["h2c-c16m8", "h2c-c1m100", "h2c-c64m1", "h2-c16m8", "h2-c1m100", "h2-c64m1", "grpc-unary", "signalr-broadcast"],
            cpu: Even, rate: Even, p99: Even),
    ];

    internal static readonly IReadOnlyList<Target> All =
    [
        .. Applications,
        OfWorkersOnly("await-1", 0.7, Leg.Sockets),
        .. Applications.Where(static target => target.Metric == Metrics.Cpu)
            .Select(static target => OfWorkersOnly(target.Scenario, WorkersOnlyCost, Leg.Netpoll)),
        .. new[] { "app-string", "mvc-get", "await-1" }.Select(static name =>
            new Target(name, Metrics.Sends, SendsPerResponse) { Bound = Bound.Value }),
        new("sse", Metrics.P50, StreamedMedian) { Bound = Bound.Difference },
        new("sse", Metrics.P99, StreamedTail) { Bound = Bound.Difference },
        .. Load(["plaintext-64"], cpu: 0.55, rate: 1.45, p99: Even),
        .. Load(["plaintext-256"], cpu: 0.6, rate: 1.4, p99: Even),
        .. Load(["plaintext-1024"], cpu: 0.7, rate: 1.25, p99: Even),
        .. Load(["pipelined-16"], cpu: 0.95, rate: Even, p99: 1.1),
        .. OpenLoopScenario.Names.SelectMany(static name => new Target[]
        {
            new(name, Metrics.Cpu, 0.7),
            new(name, Metrics.Held, AnsweredInTime) { Bound = Bound.Value },
            new(name, Metrics.P999, Even),
        }),
        .. new[] { "beside-downloads", "beside-unread" }.SelectMany(static name => new Target[]
        {
            new(name, Metrics.NewP50, Even),
            new(name, Metrics.P99, Even),
        }),
        new("beside-downloads", Metrics.BytesPerCpuSecond, Even),
        new("beside-unread", Metrics.Cpu, Even),
        .. Load(["mixed"], cpu: 0.85, rate: Even, p99: Even),
        new("json", Metrics.Cpu, 0.6),
        new("download-1m", Metrics.BytesPerCpuSecond, 1.3),
        new("upload-1m", Metrics.BytesPerCpuSecond, 1.3),
        new("upload-100m", Metrics.BytesPerCpuSecond, 1.3),
        new("churn-1", Metrics.Rate, 1.3),
        new("churn-1", Metrics.Cpu, 0.75),
        new("churn-10", Metrics.Rate, 1.3),
        new("churn-10", Metrics.Cpu, 0.75),
        new("tls-64", Metrics.Cpu, 0.8),
        new("http2", Metrics.Cpu, Even),
        new("websocket", Metrics.Cpu, 0.8),
        new("idle-plain", Metrics.HeapPerConnection, 0.7),
        new("idle-plain", Metrics.IdleCpu, Even),
        new("cold-start", Metrics.FirstAnswer, 1.05),
        new("cold-start-r2r", Metrics.FirstAnswer, 1.05),
        new("echo", Metrics.Cpu, 1.5, Leg.CEpoll),
    ];

    private static IEnumerable<Target> Load(string[] scenarios, double cpu, double rate, double p99) =>
        scenarios.SelectMany(scenario => new Target[]
        {
            new(scenario, Metrics.Cpu, cpu),
            new(scenario, Metrics.Rate, rate),
            new(scenario, Metrics.P99, p99),
        });

    private static Target OfWorkersOnly(string scenario, double cpu, string against) =>
        new(scenario, Metrics.Cpu, cpu, against) { Subject = Leg.NetpollWorkersOnly };
}
