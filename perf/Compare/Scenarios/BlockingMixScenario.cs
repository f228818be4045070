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
    private const int WarmUpConnections = 8;
    private const double WarmUpSeconds = 1;

    internal required string BlockingPath { get; init; }

    internal int BlockingClients { get; init; } = 200;

    // A pool that has grown, or starves, would be the next pass's beginning.
    internal override bool NeedsFreshServers => true;

    internal override string? GetGeneratorName(ScenarioContext context) => "blockingmix";

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        await using MeasuredServer own = await OpenServerAsync(context, leg, cancellationToken);
        await WarmUpAsync(context, own, cancellationToken);
        string program = await context.Programs.GetAsync(Source, withTls: false, cancellationToken);
        ToolOutput output = await Tool.RunAsync(
            program,
            [
                "--url", FormattableString.Invariant($"{own.Host}:{own.Port("http1")}"),
                "--block-path", BlockingPath,
                "--block-clients", BlockingClients.ToString(CultureInfo.InvariantCulture),
                "--seconds", context.Seconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        ProcessUsage usage = await own.ReadUsageAsync(collect: false, resetPeak: false, cancellationToken);
        PassFigures figures = Read(OwnReport.Parse(output.Text));
        figures.Transport = usage.Transport;
        figures[Metrics.PeakMemory] = usage.PeakResidentBytes;
        return figures;
    }

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

    internal static PassFigures Read(JsonElement report)
    {
        JsonElement fast = report.GetProperty("fast");
        JsonElement fresh = report.GetProperty("new");
        var figures = new PassFigures
        {
            [Metrics.Rate] = fast.GetProperty("rate").GetDouble(),
            [Metrics.BlockingRate] = report.GetProperty("blocking").GetProperty("rate").GetDouble(),
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
