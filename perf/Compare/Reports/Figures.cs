using System.Globalization;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>How figures are written, in all reports.</summary>
internal static class Figures
{
    internal const string None = "–";

    private const double Small = 0.1;
    private const double Large = 100;

    /// <summary>"11.1 µs (10.4–14.0)".</summary>
    internal static string Cell(LegResult? leg, Metric metric) => Summary.Of(leg, metric) is { } summary
        ? summary.Count == 1
            ? metric.Format(summary.Median)
            : $"{metric.Format(summary.Median)} ({metric.Number(summary.Min)}–{metric.Number(summary.Max)})"
        : None;

    internal static string Ratio(Comparison? comparison) => Ratio(comparison?.Ratio);

    /// <summary>With two digits that say something, however small or large it is.</summary>
    internal static string Ratio(double? value) => value switch
    {
        null => None,
        { } ratio when Math.Abs(ratio) is > 0 and < Small => ratio.ToString("G2", CultureInfo.InvariantCulture),
        { } ratio when ratio >= Large => ratio.ToString("N0", CultureInfo.InvariantCulture),
        { } ratio => ratio.ToString("F2", CultureInfo.InvariantCulture),
    };

    internal static string Name(Difference? difference) => difference switch
    {
        Difference.Better => "better",
        Difference.Worse => "worse",
        Difference.Other => "differs",
        Difference.None => "ranges overlap",
        Difference.TooFewPasses => "too few passes",
        Difference.GeneratorLimited => "not compared: load generator at its limit",
        _ => None,
    };

    internal static string Name(ScenarioStatus status) => status switch
    {
        ScenarioStatus.Measured => "measured",
        ScenarioStatus.Skipped => "skipped",
        _ => "failed",
    };

    /// <summary>"0.64 (better)" for each leg but the baseline.</summary>
    internal static string Ratios(ScenarioResult scenario, Metric metric, string baseline) => string.Join(", ", scenario.Legs
        .Where(leg => leg.Name != baseline)
        .Select(leg => (leg.Name, Comparison: Comparison.Of(metric, leg, scenario.Leg(baseline))))
        .Select(leg =>
            $"{(scenario.Legs.Count > 2 ? leg.Name + " " : "")}× {Ratio(leg.Comparison)} ({Name(leg.Comparison?.Difference)})"));

    /// <summary>The legs that all scenarios have, the baseline first; a scenario's own legs stand with its other figures.</summary>
    internal static IReadOnlyList<string> Legs(RunResult run)
    {
        ScenarioResult[] measured = [.. run.Scenarios.Where(static scenario => scenario.Status == ScenarioStatus.Measured)];
        return
        [
            .. measured.SelectMany(static scenario => scenario.Legs)
                .Select(static leg => leg.Name)
                .Prepend(run.Settings.Baseline)
                .Distinct()
                .Where(leg => measured.All(scenario => scenario.Leg(leg) is not null)),
        ];
    }

    /// <summary>The metrics that a scenario has samples of, those that matter first.</summary>
    internal static IEnumerable<Metric> MetricsOf(ScenarioResult scenario)
    {
        HashSet<string> measured = [.. scenario.Legs.SelectMany(static leg => leg.Samples).SelectMany(static sample => sample.Values.Keys)];
        return Metrics.All.Where(metric => measured.Contains(metric.Id))
            .OrderBy(metric => scenario.Headline.Contains(metric.Id) ? 0 : 1);
    }
}
