using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Statistics;

internal enum Verdict
{
    Met,
    Missed,
    NotMeasured,
}

/// <summary>What a run says about a target.</summary>
/// <param name="Target">The target.</param>
/// <param name="Verdict">Whether the medians reach it.</param>
/// <param name="Comparison">What was measured; null if nothing was.</param>
/// <param name="Reason">Why nothing was.</param>
internal sealed record TargetVerdict(Target Target, Verdict Verdict, Comparison? Comparison, string? Reason)
{
    private const string Subject = "netpoll";
    private const double Percent = 100;

    internal static TargetVerdict Judge(Target target, RunResult run)
    {
        ScenarioResult? scenario = run.Scenarios.FirstOrDefault(scenario => scenario.Name == target.Scenario);
        if (scenario is null)
        {
            return new TargetVerdict(target, Verdict.NotMeasured, null, "not in this run");
        }

        Comparison? comparison = Comparison.Of(target.Metric, scenario.Leg(Subject), scenario.Leg(target.Against));
        return comparison?.Ratio is { } ratio
            ? new TargetVerdict(target, target.IsMetBy(ratio) ? Verdict.Met : Verdict.Missed, comparison, null)
            : new TargetVerdict(target, Verdict.NotMeasured, comparison, scenario.Reason ?? $"no figure of {Subject} and {target.Against}");
    }

    internal string Describe() => (Verdict, Comparison?.Ratio) switch
    {
        (Verdict.Met, _) => "met" + Caveat(),
        (Verdict.Missed, { } ratio) => FormattableString.Invariant($"missed by {Target.MissedBy(ratio) * Percent:0.#} %") + Caveat(),
        _ => $"not measured: {Reason}",
    };

    // A verdict is about medians. It is firm only where they are more than noise.
    private string Caveat() => Comparison?.Difference switch
    {
        Difference.None => " (ranges overlap)",
        Difference.TooFewPasses => " (too few passes)",
        Difference.GeneratorLimited => " (load generator at its limit)",
        _ => "",
    };
}
