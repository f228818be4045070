using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>Requests per second against the number of connections, which doubles from step to step.</summary>
internal static class ConnectionChart
{
    internal const string Title = "plain text, requests per second against connections";

    private const double Left = 80;
    private const double Right = 30;
    private const double Top = 60;
    private const double Width = 640;
    private const double Height = 380;
    private const double Bottom = 40;
    private const int Steps = 4;

    /// <summary>Null with fewer than two numbers of connections.</summary>
    internal static string? Draw(RunResult run)
    {
        List<ScenarioResult> scenarios = [.. run.Scenarios
            .Where(static scenario => scenario.Status == ScenarioStatus.Measured && scenario.Connections > 0 &&
                scenario.Name.StartsWith(ScenarioCatalogue.PlaintextPrefix, StringComparison.Ordinal))
            .OrderBy(static scenario => scenario.Connections)];
        if (scenarios.Count < 2)
        {
            return null;
        }

        double first = Math.Log2(scenarios[0].Connections!.Value);
        double last = Math.Log2(scenarios[^1].Connections!.Value);
        double X(ScenarioResult scenario) =>
            Left + 15 + ((Math.Log2(scenario.Connections!.Value) - first) / Math.Max(1, last - first) * (Width - Left - Right - 30));

        double highest = scenarios.SelectMany(static scenario => scenario.Legs).Max(static leg => Summary.Of(leg, Metrics.Rate)?.Max ?? 0);
        double step = Round(highest / Steps);
        double ceiling = Math.Max(step, Math.Ceiling(highest / step) * step);
        double Y(double rate) => Top + ((ceiling - rate) / ceiling * (Height - Top - Bottom));

        string[] legs = [.. scenarios.SelectMany(static scenario => scenario.Legs).Select(static leg => leg.Name).Distinct()];
        var svg = new Svg(Width, Height);
        svg.Text(10, 20, Title, isBold: true);
        svg.Legend(10, 42, legs);
        for (double rate = 0; rate <= ceiling; rate += step)
        {
            svg.Line(Left, Y(rate), Width - Right, Y(rate), Svg.Faint);
            svg.Text(Left - 6, Y(rate) + 4, FormattableString.Invariant($"{rate:N0}"), Anchor.End);
        }

        foreach (ScenarioResult scenario in scenarios)
        {
            svg.Text(X(scenario), Height - Bottom + 18, FormattableString.Invariant($"{scenario.Connections}"), Anchor.Middle);
        }

        foreach (string leg in legs)
        {
            List<(double X, Summary Summary)> points = [.. scenarios
                .Select(scenario => (X: X(scenario), Summary: Summary.Of(scenario.Leg(leg), Metrics.Rate)))
                .Where(static point => point.Summary is not null)
                .Select(static point => (point.X, point.Summary!))];
            svg.Curve(points.Select(point => (point.X, Y(point.Summary.Median))), Svg.Color(leg));
            foreach ((double x, Summary summary) in points)
            {
                svg.Line(x, Y(summary.Min), x, Y(summary.Max), Svg.Color(leg), width: 2);
                svg.Dot(x, Y(summary.Median), Svg.Color(leg));
            }
        }

        return svg.ToString();
    }

    // 1, 2 or 5 times a power of ten, not less than the value.
    private static double Round(double value)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(1, value))));
        return new double[] { 1, 2, 5, 10 }.Select(factor => factor * power).First(rounded => rounded >= value || rounded >= 10 * power);
    }
}
