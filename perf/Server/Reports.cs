using System.Text.Json.Serialization;
using KestrelNetpoll.Transport;

namespace KestrelNetpoll.Perf.Server;

internal sealed record Greeting(string Message);

/// <summary>The transport that serves the request that asks for it.</summary>
internal sealed record TransportReport(string Transport, NetpollTransportStatistics? Counters)
{
    internal static TransportReport Of(HttpContext context, TransportName name) =>
        new(name.Of(context), context.Features.Get<INetpollTransportFeature>()?.Statistics);
}

/// <summary>What the process has used so far.</summary>
internal sealed record ProcessReport(
    int Processors,
    long AllocatedBytes,
    int Gen0Collections,
    int Gen2Collections,
    int Threads,
    int ThreadPoolThreads,
    long ThreadPoolPendingItems)
{
    internal static ProcessReport Create() => new(
        Environment.ProcessorCount,
        GC.GetTotalAllocatedBytes(precise: true),
        GC.CollectionCount(0),
        GC.CollectionCount(2),
        Directory.GetDirectories("/proc/self/task").Length,
        ThreadPool.ThreadCount,
        ThreadPool.PendingWorkItemCount);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Greeting))]
[JsonSerializable(typeof(TransportReport))]
[JsonSerializable(typeof(ProcessReport))]
[JsonSerializable(typeof(ProcessUsage))]
[JsonSerializable(typeof(EndpointReport[]))]
internal sealed partial class ReportContext : JsonSerializerContext;
