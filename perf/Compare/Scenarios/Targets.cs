using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>What netpoll is to reach. One line for each: a bound is changed here and nowhere else.</summary>
internal static class Targets
{
    /// <summary>No worse than the Sockets transport.</summary>
    private const double Even = 1;

    internal static readonly IReadOnlyList<Target> All =
    [
        new("plaintext-64", Metrics.Cpu, 0.5),
        new("plaintext-64", Metrics.Rate, 1.4),
        new("plaintext-64", Metrics.P99, Even),
        new("plaintext-256", Metrics.Cpu, 0.5),
        new("plaintext-256", Metrics.Rate, 1.4),
        new("plaintext-256", Metrics.P99, Even),
        new("plaintext-1024", Metrics.Cpu, 0.5),
        new("plaintext-1024", Metrics.Rate, 1.4),
        new("plaintext-1024", Metrics.P99, Even),
        new("pipelined-16", Metrics.Rate, 1.3),
        new("json", Metrics.Cpu, 0.6),
        new("download-1m", Metrics.BytesPerCpuSecond, 1.3),
        new("upload-1m", Metrics.BytesPerCpuSecond, 1.3),
        new("upload-100m", Metrics.BytesPerCpuSecond, 1.3),
        new("churn-1", Metrics.Rate, 1.3),
        new("churn-1", Metrics.Cpu, 0.75),
        new("churn-10", Metrics.Rate, 1.3),
        new("churn-10", Metrics.Cpu, 0.75),
        new("tls-64", Metrics.Cpu, 0.8),
        new("http2", Metrics.Cpu, 0.8),
        new("websocket", Metrics.Cpu, 0.8),
        new("idle-plain", Metrics.HeapPerConnection, 0.7),
        new("idle-plain", Metrics.IdleCpu, Even),
        new("cold-start", Metrics.FirstAnswer, 1.05),
        new("cold-start-r2r", Metrics.FirstAnswer, 1.05),
        new("echo", Metrics.Cpu, 1.5, "c-epoll"),
    ];
}
