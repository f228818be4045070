using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>
/// One metric over all scenarios that it matters for, each leg as a part of the baseline's median: scenarios differ by orders of magnitude,
/// and what counts is the ratio. A thin line over each bar is the range.
/// </summary>
internal static class BarChart
{
    private const double Left = 130;
    private const double Plot = 460;
    private const double Width = 780;
    private const double Top = 60;
    private const double BarHeight = 13;
    private const double Gap = 12;
    private const double Bottom = 30;

    // What is longer than this is cut; its number says how long it is.
    private const double Longest = 2;

    internal static string Title(RunResult run, Metric metric) =>
        $"{metric.Title}, {run.Settings.Baseline} = 1, {(metric.Better == Better.Lower ? "shorter" : "longer")} is better";

    /// <summary>Null without figures.</summary>
    internal static string? Draw(RunResult run, Metric metric)
    {
        List<(ScenarioResult Scenario, double Unit)> rows = [.. run.Scenarios
            .Where(scenario => scenario.Headline.Contains(metric.Id))
            .Select(scenario => (scenario, Summary.Of(scenario.Leg(run.Settings.Baseline), metric)?.Median ?? 0))
            .Where(static row => row.Item2 > 0)];
        if (rows.Count == 0)
        {
            return null;
        }

        double bars = rows.Sum(static row => (row.Scenario.Legs.Count * BarHeight) + Gap);
        var svg = new Svg(Width, Top + bars + Bottom);
        svg.Text(10, 20, Title(run, metric), isBold: true);
        svg.Legend(10, 42, rows.SelectMany(static row => row.Scenario.Legs).Select(static leg => leg.Name).Distinct());
        for (double tick = 0; tick <= Longest; tick += 0.5)
        {
            svg.Line(X(tick), Top - 5, X(tick), Top + bars, tick == 1 ? Svg.Ink : Svg.Faint);
            svg.Text(X(tick), Top + bars + 15, FormattableString.Invariant($"{tick:0.#}"), Anchor.Middle);
        }

        double y = Top;
        foreach ((ScenarioResult scenario, double unit) in rows)
        {
            svg.Text(Left - 8, y + (scenario.Legs.Count * BarHeight / 2) + 4, scenario.Name, Anchor.End);
            foreach (LegResult leg in scenario.Legs)
            {
                DrawBar(svg, y, metric, Summary.Of(leg, metric), unit, Svg.Color(leg.Name));
                y += BarHeight;
            }

            y += Gap;
        }

        return svg.ToString();
    }

    private static void DrawBar(Svg svg, double y, Metric metric, Summary? summary, double unit, string color)
    {
        if (summary is null)
        {
            return;
        }

        double end = X(summary.Median / unit);
        double middle = y + (BarHeight / 2);
        svg.Box(Left, y, Math.Max(0, end - Left), BarHeight - 2, color);
        svg.Line(X(summary.Min / unit), middle - 1, X(summary.Max / unit), middle - 1, Svg.Ink);
        svg.Text(Math.Max(end, X(summary.Max / unit)) + 5, y + BarHeight - 3, metric.Format(summary.Median));
    }

    private static double X(double ratio) => Left + (Math.Clamp(ratio, 0, Longest) / Longest * Plot);
}
