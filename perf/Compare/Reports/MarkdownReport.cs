using System.Text;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Statistics;
using static System.FormattableString;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>The result as a page of text: the targets, the figures that matter, and then everything.</summary>
internal sealed class MarkdownReport
{
    private const double BytesPerGigabyte = 1e9;

    private readonly RunResult _run;
    private readonly string _baseline;
    private readonly IReadOnlyList<string> _legs;
    private readonly StringBuilder _text = new();

    private MarkdownReport(RunResult run)
    {
        _run = run;
        _baseline = run.Settings.Baseline;
        _legs = Figures.Legs(run);
    }

    /// <param name="run">The result.</param>
    /// <param name="charts">The charts beside the page: their titles and file names.</param>
    internal static string Write(RunResult run, IReadOnlyList<(string Title, string File)> charts)
    {
        var report = new MarkdownReport(run);
        report.WriteHead();
        report.WriteTargets();
        report.WriteSummary();
        report.WriteUnmeasured();
        report.WriteCharts(charts);
        report.WriteDetails();
        return report._text.ToString();
    }

    private void WriteHead()
    {
        RunSettings settings = _run.Settings;
        MachineReport machine = _run.Machine;
        Line("# Results");
        Line();
        string command = ("perf/Compare " + settings.Command).Trim();
        Line(Invariant($"`{command}`, commit {settings.Commit}, {settings.StartedAt.UtcDateTime:yyyy-MM-dd HH:mm} UTC."));
        Line(Invariant($"{settings.Passes} passes of {settings.SecondsPerPass} s for each leg, after those that warmed up."));
        Line();
        Line(Invariant($"{machine.Processors} × {machine.Processor}, {machine.MemoryBytes / BytesPerGigabyte:0} GB,"));
        Line($"{machine.System}, {machine.Runtime}.");
        Line($"{string.Join("; ", settings.Tools.Select(static tool => $"{tool.Key}: {tool.Value}"))}.");
        Line();
        foreach (string note in _run.Notes ?? [])
        {
            Line($"**Note:** {note}.");
            Line();
        }

        Line("Medians, with the range of all passes. *better* and *worse* stand only where the ranges are apart,");
        Line(Invariant($"and there are at least {Comparison.FewestPasses} passes."));
        Line();
    }

    private void WriteTargets()
    {
        Line("## Targets");
        Line();
        Line("| scenario | metric | leg | target | measured | |");
        Line("|---|---|---|---|---|---|");
        foreach (TargetVerdict verdict in TargetVerdict.Of(Targets.All, _run))
        {
            Target target = verdict.Target;
            string result = verdict.IsMet ? verdict.Describe() : $"**{verdict.Describe()}**";
            string[] cells =
                [target.Scenario, target.Metric.Title, target.Subject, target.Describe(), verdict.DescribeMeasured(), Cell(result)];
            Line($"| {string.Join(" | ", cells)} |");
        }

        Line();
    }

    private void WriteSummary()
    {
        Line("## Summary");
        Line();
        WriteTableHead(["scenario", "metric"], _legs);
        foreach (ScenarioResult scenario in Measured())
        {
            bool isFirst = true;
            foreach (Metric metric in scenario.Headline.Select(Metrics.Get))
            {
                WriteRow([isFirst ? $"{scenario.Title} (`{scenario.Name}`)" : "", metric.Title], scenario, metric, _legs);
                isFirst = false;
            }
        }

        Line();
    }

    private void WriteUnmeasured()
    {
        ScenarioResult[] others = [.. _run.Scenarios.Where(static scenario => scenario.Status != ScenarioStatus.Measured)];
        if (others.Length == 0)
        {
            return;
        }

        Line("Not measured:");
        Line();
        foreach (ScenarioResult scenario in others)
        {
            Line($"- `{scenario.Name}` {Figures.Name(scenario.Status)}: {Cell(scenario.Reason ?? "")}");
        }

        Line();
    }

    private void WriteCharts(IReadOnlyList<(string Title, string File)> charts)
    {
        if (charts.Count == 0)
        {
            return;
        }

        Line("## Charts");
        Line();
        foreach ((string title, string file) in charts)
        {
            Line($"![{title}]({file})");
            Line();
        }
    }

    private void WriteDetails()
    {
        Line("## All figures");
        Line();
        foreach (ScenarioResult scenario in Measured())
        {
            Line($"### {scenario.Name}: {scenario.Title}");
            Line();
            if (scenario.Generator is { } generator)
            {
                string connections = scenario.Connections is { } count ? Invariant($", connections: {count:N0}") : "";
                Line($"Load by {generator}{connections}.");
                Line();
            }

            Line(Invariant($"Passes that warmed up: {scenario.WarmUpPasses}."));
            foreach (string note in scenario.Notes ?? [])
            {
                Line($"**Note:** {note}.");
            }

            Line();
            if (scenario.Legs.Where(Comparison.IsLimited).Select(static leg => leg.Name).ToArray() is { Length: > 0 } limited)
            {
                Line($"The load generator was at its limit on {string.Join(" and ", limited)}, and the server had time left:");
                Line("rates and latencies say more of the generator.");
                Line();
            }

            string[] legs = [.. scenario.Legs.Select(static leg => leg.Name)];
            WriteTableHead(["metric"], legs);
            foreach (Metric metric in Figures.MetricsOf(scenario))
            {
                WriteRow([metric.Title], scenario, metric, legs);
            }

            Line();
        }
    }

    private void WriteTableHead(string[] first, IReadOnlyList<string> legs)
    {
        string[] columns =
        [
            .. first,
            .. legs,
            .. legs.Where(leg => leg != _baseline).SelectMany(leg => new[] { $"{leg} / {_baseline}", "" }),
        ];
        Line($"| {string.Join(" | ", columns)} |");
        Line($"|{string.Concat(columns.Select(static _ => "---|"))}");
    }

    private void WriteRow(string[] first, ScenarioResult scenario, Metric metric, IReadOnlyList<string> legs)
    {
        IEnumerable<string> comparisons = legs.Where(leg => leg != _baseline)
            .Select(leg => Comparison.Of(metric, scenario.Leg(leg), scenario.Leg(_baseline)))
            .SelectMany(static comparison => new[] { $"**{Figures.Ratio(comparison)}**", Figures.Name(comparison?.Difference) });
        string[] cells = [.. first, .. legs.Select(leg => Figures.Cell(scenario.Leg(leg), metric)), .. comparisons];
        Line($"| {string.Join(" | ", cells.Select(Cell))} |");
    }

    private IEnumerable<ScenarioResult> Measured() => _run.Scenarios.Where(static scenario => scenario.Status == ScenarioStatus.Measured);

    private static string Cell(string text) => text.ReplaceLineEndings(" ").Replace("|", "\\|", StringComparison.Ordinal);

    private void Line() => _text.Append('\n');

    private void Line(string text) => _text.Append(text).Append('\n');
}
