using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Statistics;

/// <summary>What netpoll is to reach: a bound for the ratio of a metric to that of another leg.</summary>
internal sealed record Target(string Scenario, Metric Metric, double Bound, string Against = "sockets")
{
    internal string Describe() =>
        FormattableString.Invariant($"{(Metric.Better == Better.Lower ? "≤" : "≥")} {Bound:0.00} × {Against}");

    internal bool IsMetBy(double ratio) => Metric.Better == Better.Lower ? ratio <= Bound : ratio >= Bound;

    /// <summary>By which part of the bound it is missed; negative where there is something to spare.</summary>
    internal double MissedBy(double ratio) => Metric.Better == Better.Lower ? (ratio / Bound) - 1 : 1 - (ratio / Bound);
}
