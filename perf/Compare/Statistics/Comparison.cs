using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Statistics;

internal enum Difference
{
    /// <summary>The ranges overlap: what differs may be noise.</summary>
    None,
    Better,
    Worse,

    /// <summary>With so few passes, ranges may be apart by chance.</summary>
    TooFewPasses,

    /// <summary>The load generator was at its limit, so that what it saw says more of itself.</summary>
    GeneratorLimited,
}

/// <summary>One leg beside another.</summary>
/// <param name="Ratio">Of the medians; null where the other one is zero.</param>
/// <param name="Difference">Whether there is one to speak of.</param>
internal sealed record Comparison(double? Ratio, Difference Difference)
{
    /// <summary>Two passes of each are apart by chance in one case of three, three in one of ten.</summary>
    internal const int FewestPasses = 3;

    internal static Comparison? Of(Metric metric, LegResult? subject, LegResult? baseline) =>
        Summary.Of(subject, metric) is { } ofSubject && Summary.Of(baseline, metric) is { } ofBaseline
            ? Of(metric, ofSubject, ofBaseline, metric.DependsOnGenerator && (IsLimited(subject!) || IsLimited(baseline!)))
            : null;

    internal static Comparison Of(Metric metric, Summary subject, Summary baseline, bool isLimited)
    {
        double? ratio = baseline.Median != 0 ? subject.Median / baseline.Median : null;
        if (isLimited)
        {
            return new Comparison(ratio, Difference.GeneratorLimited);
        }

        bool isAbove = subject.Min > baseline.Max;
        bool isBelow = subject.Max < baseline.Min;
        if (!isAbove && !isBelow)
        {
            return new Comparison(ratio, Difference.None);
        }

        return Math.Min(subject.Count, baseline.Count) < FewestPasses
            ? new Comparison(ratio, Difference.TooFewPasses)
            : new Comparison(ratio, isAbove == (metric.Better == Better.Higher) ? Difference.Better : Difference.Worse);
    }

    /// <summary>In at least half of its passes.</summary>
    internal static bool IsLimited(LegResult leg) =>
        leg.Samples.Count(static sample => sample.GeneratorLimited) * 2 >= Math.Max(1, leg.Samples.Count);
}
