using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Reports;

namespace KestrelNetpoll.Perf.Compare.Statistics;

/// <summary>What a run says about a target.</summary>
/// <param name="Target">The target.</param>
/// <param name="IsMet">Whether the medians reach it.</param>
/// <param name="Measured">What is judged: a ratio, a difference or the figure itself.</param>
/// <param name="Difference">Whether there is one to speak of.</param>
internal sealed record TargetVerdict(Target Target, bool IsMet, double Measured, Difference Difference)
{
    /// <summary>Of all targets that the run has measured.</summary>
    internal static IEnumerable<TargetVerdict> Of(IEnumerable<Target> targets, RunResult run) =>
        targets.Select(target => Judge(target, run)).OfType<TargetVerdict>();

    /// <summary>Null if it was not measured.</summary>
    internal static TargetVerdict? Judge(Target target, RunResult run)
    {
        if (run.Scenarios.FirstOrDefault(scenario => scenario.Name == target.Scenario) is not { } scenario ||
            Summary.Of(scenario.Leg(target.Subject), target.Metric) is not { } subject)
        {
            return null;
        }

        if (target.Bound == Bound.Value)
        {
            return new TargetVerdict(
                target,
                target.IsMetBy(subject.Median),
                subject.Median,
                target.IsMetBy(subject.Min) == target.IsMetBy(subject.Max) ? Difference.Other : Difference.None);
        }

        LegResult? other = scenario.Leg(target.Against);
        double? measured = target.Bound == Bound.Ratio
            ? Comparison.Of(target.Metric, scenario.Leg(target.Subject), other)?.Ratio
            : subject.Median - Summary.Of(other, target.Metric)?.Median;
        return measured is { } value
            ? new TargetVerdict(
                target, target.IsMetBy(value), value, Comparison.Of(target.Metric, scenario.Leg(target.Subject), other)!.Difference)
            : null;
    }

    internal string Describe() => (IsMet ? "met" : "missed by " + Target.DescribeMiss(Measured)) + Caveat();

    internal string DescribeMeasured() => Target.Bound switch
    {
        Bound.Ratio => Figures.Ratio(Measured),
        Bound.Difference => (Measured < 0 ? "" : "+") + Target.Metric.Format(Measured),
        _ => Target.Metric.Format(Measured),
    };

    // A verdict is about medians. It is firm only where they are more than noise.
    private string Caveat() => Difference switch
    {
        Difference.None => " (ranges overlap)",
        Difference.TooFewPasses => " (too few passes)",
        Difference.GeneratorLimited => " (load generator at its limit)",
        _ => "",
    };
}
