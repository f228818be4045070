using System.Globalization;
using System.Text.Json;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>Requests at a fixed rate, whatever the answers take: waiting counts, and so does what an idle server costs.</summary>
internal sealed class OpenLoopScenario : AppScenario
{
    private const string Source = "load/openloop.c";
    private const int Thousand = 1000;

    private static readonly int[] Rates = [1_000, 5_000, 10_000, 20_000, 40_000];

    internal static IEnumerable<string> Names => Rates.Select(NameOf);

    internal static IEnumerable<Scenario> All => Rates.Select(static rate => new OpenLoopScenario
    {
        Name = NameOf(rate),
        Title = FormattableString.Invariant($"open loop: {rate} requests a second to a minimal API, 256 connections"),
        App = "minimal",
        Path = "/",
        Connections = 256,
        RequestsPerSecond = rate,
        Headline = [Metrics.Cpu, Metrics.Held, Metrics.P50, Metrics.P99, Metrics.P999],
        IsQuick = rate == Rates[2],
    });

    internal required int RequestsPerSecond { get; init; }

    internal override bool CanBeCounted => false;

    internal override string GetGeneratorName(ScenarioContext context) => "openloop";

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(server);
        string program = await context.Programs.GetAsync(Source, withTls: false, cancellationToken);
        JsonElement report = default;
        PassFigures figures = await LoadFigures.MeasureAsync(
            server,
            async () =>
            {
                ToolOutput output = await Tool.RunAsync(
                    program,
                    [
                        "--url", FormattableString.Invariant($"{server.Host}:{server.Port("http1")}"),
                        "--path", Path,
                        "--connections", (Connections ?? 1).ToString(CultureInfo.InvariantCulture),
                        "--rate", RequestsPerSecond.ToString(CultureInfo.InvariantCulture),
                        "--seconds", context.Seconds.ToString(CultureInfo.InvariantCulture),
                    ],
                    cancellationToken);
                report = OwnReport.Parse(output.Text);
                return OwnReport.ReadGroup(report, "http").From(output, threads: 1);
            },
            cancellationToken);
        figures[Metrics.Held] = report.GetProperty("held").GetDouble();
        figures[Metrics.SentLate] = report.GetProperty("late_p99_us").GetDouble();
        figures[Metrics.Unanswered] = report.GetProperty("http").GetProperty("unanswered").GetDouble();
        return figures;
    }

    private static string NameOf(int rate) => FormattableString.Invariant($"open-{rate / Thousand}k");
}
