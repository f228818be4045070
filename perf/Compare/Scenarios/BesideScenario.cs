using System.Globalization;
using System.Text.Json;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>Short requests beside answers that are so large that they could starve everybody else: see <c>load/beside.c</c>.</summary>
internal sealed class BesideScenario : Scenario
{
    private const string Source = "load/beside.c";

    /// <summary>Gets the size of the large answers.</summary>
    internal required int LargeBytes { get; init; }

    /// <summary>Gets how many of them are downloaded all the time.</summary>
    internal int Downloads { get; init; }

    /// <summary>Gets how many clients ask for one at once and do not read.</summary>
    internal int Unread { get; init; }

    internal override string GetGeneratorName(ScenarioContext context) => "beside";

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
                        "--large-path", FormattableString.Invariant($"/download/{LargeBytes}"),
                        "--downloads", Downloads.ToString(CultureInfo.InvariantCulture),
                        "--unread", Unread.ToString(CultureInfo.InvariantCulture),
                        "--seconds", context.Seconds.ToString(CultureInfo.InvariantCulture),
                    ],
                    cancellationToken);
                report = OwnReport.Parse(output.Text);
                return new LoadResult
                {
                    Seconds = report.GetProperty("seconds").GetDouble(),
                    Requests = report.GetProperty("requests").GetInt64(),
                    Bytes = report.GetProperty("bytes_received").GetInt64(),
                    Latencies = OwnReport.ReadLatencies(report.GetProperty("kept")),
                }.From(output, threads: 2);
            },
            cancellationToken);
        Dictionary<Metric, double> ofNew = OwnReport.ReadLatencies(report.GetProperty("new"));
        figures[Metrics.NewP50] = ofNew[Metrics.P50];
        figures[Metrics.NewP99] = ofNew[Metrics.P99];
        figures[Metrics.NewMax] = ofNew[Metrics.Max];
        return figures;
    }
}
