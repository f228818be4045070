using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>A picture, as it goes into a file.</summary>
internal sealed record Chart(string Name, string Title, string Svg);

/// <summary>All charts that a result has figures for.</summary>
internal static class Charts
{
    private static readonly Metric[] Compared =
    [
        Metrics.Rate, Metrics.Cpu, Metrics.P99, Metrics.BytesPerCpuSecond, Metrics.HeapPerConnection, Metrics.ResidentPerConnection,
        Metrics.FirstAnswer,
    ];

    internal static IEnumerable<Chart> Of(RunResult run)
    {
        foreach (Metric metric in Compared)
        {
            if (BarChart.Draw(run, metric) is { } svg)
            {
                yield return new Chart($"bars-{metric.Id}", BarChart.Title(run, metric), svg);
            }
        }

        if (ConnectionChart.Draw(run) is { } connections)
        {
            yield return new Chart("connections", ConnectionChart.Title, connections);
        }

        foreach (ScenarioResult scenario in run.Scenarios.Where(static scenario =>
            scenario.Status == ScenarioStatus.Measured &&
            scenario.Name.StartsWith(ScenarioCatalogue.PlaintextPrefix, StringComparison.Ordinal)))
        {
            if (LatencyChart.Draw(scenario) is { } latency)
            {
                yield return new Chart($"latency-{scenario.Name}", LatencyChart.Title(scenario), latency);
            }
        }
    }
}
