using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Reports;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Servers;
using Spectre.Console;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>Measures the chosen scenarios one after the other, and shows how far it is.</summary>
internal sealed class ComparisonRun(CompareOptions options, IAnsiConsole console)
{
    internal async Task<RunResult> RunAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<Scenario> scenarios = ScenarioSelection.Select(options);
        using ServerLimits limits = ServerLimits.Create(options.ServerProcessors, options.CpuQuota);
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
                new PublishedServer(directory.FullName),
                limits);
            string? busy = BusyMachine.Describe();
            if (busy is not null)
            {
                console.MarkupLineInterpolated($"[yellow]Note[/]: {busy}");
            }

            using var hogs = new Hogs(options.Hogs);
            var empty = new RunResult(
                RunResult.CurrentVersion,
                Machine.Describe(),
                new RunSettings(
                    Machine.CommandLine(),
                    await Machine.CommitAsync(cancellationToken),
                    DateTimeOffset.UtcNow,
                    options.Passes,
                    options.Seconds,
                    options.Legs[0].Name,
                    await Machine.ToolVersionsAsync(cancellationToken)),
                [],
                busy is null ? null : [busy]);
            return await MeasureAllAsync(empty, scenarios, context, cancellationToken);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private async Task<RunResult> MeasureAllAsync(
        RunResult run, IReadOnlyList<Scenario> scenarios, ScenarioContext context, CancellationToken cancellationToken)
    {
        async Task MeasureEachAsync(Func<Scenario, Action<int, int>> begin, Action end)
        {
            foreach (Scenario scenario in scenarios)
            {
                ScenarioResult result = await MeasureAsync(scenario, context, begin(scenario), cancellationToken);
                run = run with { Scenarios = [.. run.Scenarios, result] };

                // A run that ends early keeps what it has.
                ReportFiles.Write(run, options.Output);
                end();
                ConsoleLine.Write(console, result, options.Legs[0].Name);
            }
        }

        // In a file, nobody watches it move.
        if (!console.Profile.Capabilities.Ansi)
        {
            await MeasureEachAsync(static _ => static (_, _) => { }, static () => { });
            return run;
        }

        await console.Progress()
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn(),
                new PercentageColumn(),
                new RemainingTimeColumn())
            .StartAsync(async progress =>
            {
                ProgressTask all = progress.AddTask("all scenarios", maxValue: scenarios.Count);
                ProgressTask? one = null;
                await MeasureEachAsync(
                    scenario =>
                    {
                        ProgressTask task = one = progress.AddTask(Markup.Escape(scenario.Name));
                        return (done, count) =>
                        {
                            task.MaxValue = count;
                            task.Value = done;
                        };
                    },
                    () =>
                    {
                        one?.StopTask();
                        all.Increment(1);
                    });
            });
        return run;
    }

    private async Task<ScenarioResult> MeasureAsync(
        Scenario scenario, ScenarioContext context, Action<int, int> progress, CancellationToken cancellationToken)
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
            IReadOnlyList<LegResult> legs = await run.MeasureAsync(cancellationToken);
            return Result(ScenarioStatus.Measured, null, legs) with
            {
                WarmUpPasses = run.WarmUpPasses,
                Notes = run.Notes.Count > 0 ? run.Notes : null,
            };
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
