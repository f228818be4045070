using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Statistics;

/// <summary>Several measurements of one thing. The range says what a single number hides.</summary>
internal sealed record Summary(double Median, double Min, double Max, int Count)
{
    /// <summary>Null without measurements.</summary>
    internal static Summary? Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Where(double.IsFinite).Order()];
        if (sorted.Length == 0)
        {
            return null;
        }

        int middle = sorted.Length / 2;
        double median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Summary(median, sorted[0], sorted[^1], sorted.Length);
    }

    internal static Summary? Of(LegResult? leg, Metric metric) => leg is null
        ? null
        : Of(leg.Samples.Where(sample => sample.Values.ContainsKey(metric.Id)).Select(sample => sample.Values[metric.Id]));
}
