using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Reports;
using Spectre.Console;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>A line for each scenario that is over, while the others go on.</summary>
internal static class ConsoleLine
{
    internal static void Write(IAnsiConsole console, ScenarioResult result, string baseline)
    {
        string text = result.Status == ScenarioStatus.Measured
            ? string.Join("; ", result.Headline
                .Select(Metrics.Get)
                .Select(metric => $"{metric.Title} {Figures.Ratios(result, metric, baseline)}"))
            : $"{Figures.Name(result.Status)}: {result.Reason}";
        console.MarkupLineInterpolated($"[bold]{result.Name}[/]: {text}");
        foreach (string note in result.Notes ?? [])
        {
            console.MarkupLineInterpolated($"  [yellow]Note[/]: {note}");
        }
    }
}
