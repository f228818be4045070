using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Statistics;

internal enum Bound
{
    /// <summary>For the ratio to the other leg.</summary>
    Ratio,

    /// <summary>For what is added to the other leg's figure, as it is in the samples.</summary>
    Difference,

    /// <summary>For the figure itself.</summary>
    Value,
}

/// <summary>What netpoll is to reach: a bound for a metric, mostly for its ratio to that of another leg.</summary>
/// <param name="Scenario">Where it is measured.</param>
/// <param name="Metric">What is measured.</param>
/// <param name="Limit">The bound.</param>
/// <param name="Against">The leg that it is compared with.</param>
internal sealed record Target(string Scenario, Metric Metric, double Limit, string Against = "sockets")
{
    private const double Percent = 100;

    /// <summary>Gets the leg that is to reach it.</summary>
    internal string Subject { get; init; } = "netpoll";

    /// <summary>Gets what the bound is for.</summary>
    internal Bound Bound { get; init; }

    private string Sign => Metric.Better == Better.Lower ? "≤" : "≥";

    internal string Describe() => Bound switch
    {
        Bound.Ratio => FormattableString.Invariant($"{Sign} {Limit:0.00} × {Against}"),
        Bound.Difference => $"{Sign} {Against} + {Metric.Format(Limit)}",
        _ => $"{Sign} {Metric.Format(Limit)}",
    };

    internal bool IsMetBy(double measured) => Metric.Better == Better.Lower ? measured <= Limit : measured >= Limit;

    /// <summary>By which part of the bound it is missed; a difference, by how much.</summary>
    internal string DescribeMiss(double measured) => Bound == Bound.Difference
        ? Metric.Format(Math.Abs(measured - Limit))
        : FormattableString.Invariant($"{Math.Abs((measured / Limit) - 1) * Percent:0.#} %");
}
