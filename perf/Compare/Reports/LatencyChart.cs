using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>The latencies of a scenario: percentiles to the right, the rarer the wider apart, milliseconds upwards, by powers of
/// ten.</summary>
internal static class LatencyChart
{
    private const double Left = 70;
    private const double Right = 30;
    private const double Top = 60;
    private const double Width = 640;
    private const double Height = 380;
    private const double Bottom = 40;

    internal static string Title(ScenarioResult scenario) => $"latency, {scenario.Title}";

    /// <summary>Null without percentiles.</summary>
    internal static string? Draw(ScenarioResult scenario)
    {
        List<(string Leg, List<(double X, Summary Summary)> Points)> curves = [.. scenario.Legs
            .Select(static leg => (leg.Name, Points: Points(leg)))
            .Where(static curve => curve.Points.Count > 1)];
        if (curves.Count == 0)
        {
            return null;
        }

        Summary[] all = [.. curves.SelectMany(static curve => curve.Points).Select(static point => point.Summary)];
        double floor = Math.Floor(Math.Log10(Math.Max(1, all.Min(static summary => summary.Min))));
        double ceiling = Math.Max(floor + 1, Math.Ceiling(Math.Log10(all.Max(static summary => summary.Max))));
        double Y(double microseconds) =>
            Top + ((ceiling - Math.Log10(Math.Max(1, microseconds))) / (ceiling - floor) * (Height - Top - Bottom));

        var svg = new Svg(Width, Height);
        svg.Text(10, 20, Title(scenario), isBold: true);
        svg.Legend(10, 42, curves.Select(static curve => curve.Leg));
        for (double power = floor; power <= ceiling; power++)
        {
            double y = Y(Math.Pow(10, power));
            svg.Line(Left, y, Width - Right, y, Svg.Faint);
            svg.Text(Left - 6, y + 4, FormattableString.Invariant($"{Math.Pow(10, power - 3):0.###} ms"), Anchor.End);
        }

        foreach ((Metric metric, double fraction) in Metrics.Percentiles)
        {
            svg.Text(X(fraction), Height - Bottom + 18, metric.Title, Anchor.Middle);
        }

        foreach ((string leg, List<(double X, Summary Summary)> points) in curves)
        {
            string color = Svg.Color(leg);
            svg.Area(
                points.Select(point => (point.X, Y(point.Summary.Max))).Concat(
                    points.AsEnumerable().Reverse().Select(point => (point.X, Y(point.Summary.Min)))),
                color);
            svg.Curve(points.Select(point => (point.X, Y(point.Summary.Median))), color);
        }

        return svg.ToString();
    }

    private static List<(double X, Summary Summary)> Points(LegResult leg) => [.. Metrics.Percentiles
        .Select(percentile => (X: X(percentile.Fraction), Summary: Summary.Of(leg, percentile.Metric)))
        .Where(static point => point.Summary is not null)
        .Select(static point => (point.X, point.Summary!))];

    private static double X(double fraction)
    {
        double first = Rarity(Metrics.Percentiles[0].Fraction);
        double last = Rarity(Metrics.Percentiles[^1].Fraction);
        return Left + 10 + ((Rarity(fraction) - first) / (last - first) * (Width - Left - Right - 30));
    }

    private static double Rarity(double fraction) => -Math.Log10(1 - fraction);
}
