using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>
/// Says when the servers of a scenario are warm: no leg's rate was still rising in the last pass, and its runtime had next to nothing left
/// to compile. Passes before that do not count.
/// </summary>
internal sealed class WarmUp
{
    /// <summary>What has not settled by then will not: the machine is too restless.</summary>
    internal const int MostPasses = 10;

    /// <summary>A rate that rises by less is steady.</summary>
    internal const double SteadyRise = 0.03;

    /// <summary>Now and then a method is compiled that few requests need.</summary>
    internal const int FewMethods = 20;

    private readonly Dictionary<string, List<PassFigures>> _passes = [];

    internal void Add(string leg, PassFigures figures)
    {
        if (!_passes.TryGetValue(leg, out List<PassFigures>? passes))
        {
            passes = [];
            _passes.Add(leg, passes);
        }

        passes.Add(figures);
    }

    /// <summary>Why another pass is needed, for the record; null: all legs are warm.</summary>
    internal string? WhatIsLeft => _passes
        .Select(static leg => Describe(leg.Key, leg.Value))
        .FirstOrDefault(static left => left is not null);

    private static string? Describe(string leg, List<PassFigures> passes)
    {
        if (passes.Count < 2)
        {
            return $"{leg} has had one pass";
        }

        // What is not measured is NaN, and no reason to wait.
        double best = passes[..^1].Max(static pass => pass[Metrics.Rate]);
        return passes[^1][Metrics.Rate] > best * (1 + SteadyRise)
            ? $"the rate of {leg} was still rising"
            : passes[^1][Metrics.Compiled] > FewMethods
                ? FormattableString.Invariant($"{leg} still compiled {passes[^1][Metrics.Compiled]} methods in a pass")
                : null;
    }
}
