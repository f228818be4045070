using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Statistics;
using Spectre.Console;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>The tables at the end of a run.</summary>
internal static class ConsoleReport
{
    private const int TwoLegs = 2;

    internal static void Write(IAnsiConsole console, RunResult run)
    {
        console.Write(Results(run));
        console.Write(TargetsTable(run));
    }

    private static Table Results(RunResult run)
    {
        string baseline = run.Settings.Baseline;
        IReadOnlyList<string> legs = Figures.Legs(run);
        Table table = new Table().Title("median (range)").AddColumn("scenario").AddColumn("");
        foreach (string leg in legs)
        {
            table.AddColumn(Markup.Escape(leg));
        }

        table.AddColumn(Markup.Escape($"× {baseline}"));
        foreach (ScenarioResult scenario in run.Scenarios)
        {
            if (scenario.Status != ScenarioStatus.Measured)
            {
                table.AddRow([
                    Markup.Escape(scenario.Name),
                    Figures.Name(scenario.Status),
                    .. legs.Select(static _ => ""),
                    Markup.Escape(scenario.Reason ?? "")]);
                continue;
            }

            foreach (Metric metric in scenario.Headline.Select(Metrics.Get))
            {
                table.AddRow([
                    Markup.Escape(scenario.Name),
                    Markup.Escape(metric.Title),
                    .. legs.Select(leg => Markup.Escape(Figures.Cell(scenario.Leg(leg), metric))),
                    string.Join('\n', legs
                        .Where(leg => leg != baseline)
                        .Select(leg => (legs.Count > TwoLegs ? $"[grey]{Markup.Escape(leg)}[/] " : "") +
                            Colored(Comparison.Of(metric, scenario.Leg(leg), scenario.Leg(baseline)))))]);
            }
        }

        return table;
    }

    private static Table TargetsTable(RunResult run)
    {
        Table table = new Table().Title("targets")
            .AddColumn("scenario").AddColumn("").AddColumn("leg").AddColumn("target").AddColumn("measured").AddColumn("");
        foreach (TargetVerdict verdict in TargetVerdict.Of(Targets.All, run))
        {
            string color = verdict.IsMet ? "green" : "red";
            table.AddRow(
                Markup.Escape(verdict.Target.Scenario),
                Markup.Escape(verdict.Target.Metric.Title),
                Markup.Escape(verdict.Target.Subject),
                Markup.Escape(verdict.Target.Describe()),
                Markup.Escape(verdict.DescribeMeasured()),
                $"[{color}]{Markup.Escape(verdict.Describe())}[/]");
        }

        return table;
    }

    private static string Colored(Comparison? comparison)
    {
        string color = comparison?.Difference switch { Difference.Better => "green", Difference.Worse => "red", _ => "grey" };
        return $"[{color}]{Figures.Ratio(comparison)} {Markup.Escape(Figures.Name(comparison?.Difference))}[/]";
    }
}
