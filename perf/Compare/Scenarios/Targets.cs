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
        new("plaintext-64", Metrics.Cpu, Even),
        new("plaintext-64", Metrics.Rate, Even),
        new("plaintext-64", Metrics.P99, Even),
        new("plaintext-256", Metrics.Cpu, Even),
        new("plaintext-256", Metrics.Rate, Even),
        new("plaintext-256", Metrics.P99, Even),
        new("plaintext-1024", Metrics.Cpu, Even),
        new("plaintext-1024", Metrics.Rate, Even),
        new("plaintext-1024", Metrics.P99, Even),
        new("pipelined-16", Metrics.Rate, Even),
        new("json", Metrics.Cpu, Even),
        new("download-1m", Metrics.BytesPerCpuSecond, Even),
        new("upload-1m", Metrics.BytesPerCpuSecond, Even),
        new("upload-100m", Metrics.BytesPerCpuSecond, Even),
        new("churn-1", Metrics.Rate, Even),
        new("churn-1", Metrics.Cpu, Even),
        new("churn-10", Metrics.Rate, Even),
        new("churn-10", Metrics.Cpu, Even),
        new("tls-64", Metrics.Cpu, Even),
        new("http2", Metrics.Cpu, Even),
        new("websocket", Metrics.Cpu, Even),
        new("idle-plain", Metrics.HeapPerConnection, Even),
        new("idle-plain", Metrics.IdleCpu, Even),
        new("cold-start", Metrics.FirstAnswer, Even),
        new("echo", Metrics.Cpu, 2, "c-epoll"),
    ];
}
