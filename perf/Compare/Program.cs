using System.Runtime.InteropServices;
using KestrelNetpoll.Perf.Compare;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Reports;
using KestrelNetpoll.Perf.Compare.Running;
using KestrelNetpoll.Perf.Compare.Scenarios;
using Spectre.Console;

AnsiConsole.Console = OutputConsole.Create();

// A terminal that is closed in the middle of a run must not leave servers behind either.
using var hangUp = new CancellationTokenSource();
using var registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
{
    signal.Cancel = true;
    hangUp.Cancel();
});

try
{
    return await new CommandLine().Create(MeasureAsync, Render, List).Parse(args).InvokeAsync(
        new System.CommandLine.InvocationConfiguration { EnableDefaultExceptionHandler = false }, hangUp.Token);
}
catch (Exception e) when (e is FormatException or InvalidDataException or IOException)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("Cancelled.");
    return 130;
}

static async Task<int> MeasureAsync(CompareOptions options, CancellationToken cancellationToken)
{
    RunResult result = await new ComparisonRun(options, AnsiConsole.Console).RunAsync(cancellationToken);
    ConsoleReport.Write(AnsiConsole.Console, result);
    AnsiConsole.WriteLine($"Written to {options.Output}: {ReportFiles.JsonName}, {ReportFiles.MarkdownName} and charts.");
    return result.Scenarios.Any(static scenario => scenario.Status == ScenarioStatus.Failed) ? 1 : 0;
}

static int Render(string file, string? directory)
{
    RunResult result = ResultJson.Read(File.ReadAllText(file));
    ReportFiles.Render(result, directory ?? Path.GetDirectoryName(Path.GetFullPath(file))!, Path.GetFileNameWithoutExtension(file));
    ConsoleReport.Write(AnsiConsole.Console, result);
    return 0;
}

static int List()
{
    var table = new Table().AddColumn("scenario").AddColumn("what it does").AddColumn("quick").AddColumn("attached");
    foreach (Scenario scenario in ScenarioCatalogue.All)
    {
        table.AddRow(
            Markup.Escape(scenario.Name),
            Markup.Escape(scenario.Title),
            scenario.IsQuick ? "yes" : "",
            scenario.WorksAttached ? "yes" : "no");
    }

    AnsiConsole.Write(table);
    return 0;
}
