using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Percentiles of latencies that are all there.</summary>
internal static class Percentile
{
    /// <param name="latencies">In microseconds, in any order; without any there are no percentiles.</param>
    internal static Dictionary<Metric, double> Of(IEnumerable<double> latencies)
    {
        double[] sorted = [.. latencies];
        Array.Sort(sorted);
        return sorted.Length == 0
            ? []
            : Metrics.Percentiles
                .Select(percentile => (percentile.Metric, Value: sorted[(int)(sorted.Length * percentile.Fraction)]))
                .Append((Metrics.Max, sorted[^1]))
                .ToDictionary();
    }
}
