using System.Globalization;
using System.Text.Json;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>
/// Many clients on a route that blocks its thread, or computes, 8 on a fast one and a new connection now and then: what the first leave to
/// the others.
/// </summary>
internal sealed class BlockingMixScenario : Scenario
{
    private const string Source = "load/blockingmix.c";
    private const int StreamsPerConnection = 10;
    private const int WarmUpConnections = 8;
    private const double WarmUpSeconds = 1;

    internal required string BlockingPath { get; init; }

    internal int BlockingClients { get; init; } = 200;

    /// <summary>Gets whether those that block are HTTP/2 streams, ten on each connection, to another port of the same server.</summary>
    internal bool IsHttp2 { get; init; }

    internal override bool WorksAttached => !IsHttp2;

    // A pool that has grown, or starves, would be the next pass's beginning.
    internal override bool NeedsFreshServers => true;

    internal override IReadOnlyList<string> GetServerArguments(ScenarioContext context) =>
        IsHttp2 ? ["--protocols", "http2", "--http1-port", "0"] : [];

    internal override string? GetGeneratorName(ScenarioContext context) => IsHttp2
        ? "blockingmix, " + context.Generators.Choose(CreateStreams(context, ServerProcess.Host, port: 0)).Name
        : "blockingmix";

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        await using MeasuredServer own = await OpenServerAsync(context, leg, cancellationToken);
        await WarmUpAsync(context, own, cancellationToken);
        string program = await context.Programs.GetAsync(Source, withTls: false, cancellationToken);
        Task<LoadResult?> streams = RunStreamsAsync(context, own, cancellationToken);
        Task<ToolOutput> mix = Tool.RunAsync(
            program,
            [
                "--url", FormattableString.Invariant($"{own.Host}:{own.Port("http1")}"),
                "--block-path", BlockingPath,
                "--block-clients", (IsHttp2 ? 0 : BlockingClients).ToString(CultureInfo.InvariantCulture),
                "--seconds", context.Seconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        await Task.WhenAll(streams, mix);
        ProcessUsage usage = await own.ReadUsageAsync(collect: false, resetPeak: false, cancellationToken);
        PassFigures figures = Read(OwnReport.Parse((await mix).Text), await streams);
        figures.Transport = usage.Transport;
        figures[Metrics.PeakMemory] = usage.PeakResidentBytes;
        return figures;
    }

    private async Task<LoadResult?> RunStreamsAsync(
        ScenarioContext context, MeasuredServer server, CancellationToken cancellationToken)
    {
        if (!IsHttp2)
        {
            return null;
        }

        LoadRequest request = CreateStreams(context, server.Host, server.Port("http2"));
        return await context.Generators.Choose(request).RunAsync(request, cancellationToken);
    }

    private LoadRequest CreateStreams(ScenarioContext context, string host, int port) => new()
    {
        Protocol = LoadProtocol.Http2,
        Host = host,
        Port = port,
        Path = BlockingPath,
        Connections = BlockingClients / StreamsPerConnection,
        Depth = StreamsPerConnection,
        Seconds = context.Seconds,
    };

    private static Task<LoadResult> WarmUpAsync(ScenarioContext context, MeasuredServer server, CancellationToken cancellationToken)
    {
        var request = new LoadRequest
        {
            Protocol = LoadProtocol.Http1,
            Host = server.Host,
            Port = server.Port("http1"),
            Connections = WarmUpConnections,
            Seconds = WarmUpSeconds,
        };
        return context.Generators.Choose(request).RunAsync(request, cancellationToken);
    }

    /// <param name="report">What <c>blockingmix</c> has seen.</param>
    /// <param name="streams">What blocks, where another program makes it.</param>
    internal static PassFigures Read(JsonElement report, LoadResult? streams = null)
    {
        JsonElement fast = report.GetProperty("fast");
        JsonElement fresh = report.GetProperty("new");
        var figures = new PassFigures
        {
            [Metrics.Rate] = fast.GetProperty("rate").GetDouble(),
            [Metrics.BlockingRate] = streams is null
                ? report.GetProperty("blocking").GetProperty("rate").GetDouble()
                : streams.Requests / streams.Seconds,
            [Metrics.Unanswered] = fast.GetProperty("unanswered").GetDouble() + fresh.GetProperty("unanswered").GetDouble(),
            [Metrics.GeneratorCores] = report.GetProperty("generator_cores").GetDouble(),
        };
        figures.Add(OwnReport.ReadLatencies(fast));
        Dictionary<Metric, double> ofNew = OwnReport.ReadLatencies(fresh);
        if (ofNew.TryGetValue(Metrics.P99, out double p99))
        {
            figures[Metrics.NewP99] = p99;
            figures[Metrics.NewMax] = ofNew[Metrics.Max];
        }

        return figures;
    }
}
