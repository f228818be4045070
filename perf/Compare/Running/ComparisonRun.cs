using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Servers;
using Spectre.Console;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>Measures the chosen scenarios one after the other, and shows how far it is.</summary>
internal sealed class ComparisonRun(CompareOptions options, IAnsiConsole console)
{
    internal async Task<RunResult> RunAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<Scenario> scenarios = ScenarioSelection.Select(ScenarioCatalogue.All, options.Scenarios, options.IsQuick);
        DirectoryInfo directory = Directory.CreateTempSubdirectory("compare-");
        try
        {
            var programs = new LoadPrograms(directory.FullName);
            var context = new ScenarioContext(
                options.Seconds,
                options.LoadThreads,
                options.IdleConnections,
                directory.FullName,
                LoadGenerators.Create(programs, options.Generator),
                programs,
                new PublishedServer(directory.FullName));
            DateTimeOffset startedAt = DateTimeOffset.UtcNow;
            List<ScenarioResult> results = await MeasureAllAsync(scenarios, context, cancellationToken);
            return new RunResult(
                RunResult.CurrentVersion,
                Machine.Describe(),
                new RunSettings(
                    Machine.CommandLine(),
                    await Machine.CommitAsync(cancellationToken),
                    startedAt,
                    options.Passes,
                    options.Seconds,
                    options.Legs[0].Name,
                    await Machine.ToolVersionsAsync(cancellationToken)),
                results);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private async Task<List<ScenarioResult>> MeasureAllAsync(
        IReadOnlyList<Scenario> scenarios, ScenarioContext context, CancellationToken cancellationToken)
    {
        List<ScenarioResult> results = [];
        await console.Progress()
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn(),
                new PercentageColumn(),
                new RemainingTimeColumn())
            .StartAsync(async progress =>
            {
                ProgressTask all = progress.AddTask("all scenarios", maxValue: scenarios.Count);
                foreach (Scenario scenario in scenarios)
                {
                    ProgressTask one = progress.AddTask(Markup.Escape(scenario.Name));
                    ScenarioResult result = await MeasureAsync(scenario, context, one, cancellationToken);
                    results.Add(result);
                    one.StopTask();
                    all.Increment(1);
                    ConsoleLine.Write(console, result, options.Legs[0].Name);
                }
            });
        return results;
    }

    private async Task<ScenarioResult> MeasureAsync(
        Scenario scenario, ScenarioContext context, ProgressTask progress, CancellationToken cancellationToken)
    {
        string? generator = null;
        ScenarioResult Result(ScenarioStatus status, string? reason, IReadOnlyList<LegResult> legs) => new(
            scenario.Name,
            scenario.Title,
            scenario.GetConnections(context),
            [.. scenario.Headline.Select(static metric => metric.Id)],
            generator,
            status,
            reason,
            legs);

        if (options.IsAttached && !scenario.WorksAttached)
        {
            return Result(ScenarioStatus.Skipped, "not in attach mode: needs a server process of its own", []);
        }

        try
        {
            generator = scenario.GetGeneratorName(context);
            await using var run = new ScenarioRun(scenario, context, options, progress);
            return Result(ScenarioStatus.Measured, null, await run.MeasureAsync(cancellationToken));
        }
        catch (MissingToolException e)
        {
            return Result(ScenarioStatus.Skipped, e.Message, []);
        }
        catch (Exception e) when (e is LoadException or HttpRequestException or IOException)
        {
            return Result(ScenarioStatus.Failed, e.Message, []);
        }
    }
}
