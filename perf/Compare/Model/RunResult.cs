namespace KestrelNetpoll.Perf.Compare.Model;

/// <summary>Everything a run has found out, as it goes into the JSON file: samples, not conclusions, which are drawn when it is
/// rendered.</summary>
/// <param name="Version">Of the file's form.</param>
/// <param name="Machine">Where.</param>
/// <param name="Settings">How.</param>
/// <param name="Scenarios">What was measured, as far as the run has come.</param>
/// <param name="Notes">What a reader should know of the whole run.</param>
internal sealed record RunResult(
    int Version, MachineReport Machine, RunSettings Settings, IReadOnlyList<ScenarioResult> Scenarios, IReadOnlyList<string>? Notes = null)
{
    internal const int CurrentVersion = 1;
}

/// <summary>Where it was measured.</summary>
internal sealed record MachineReport(string System, string Processor, int Processors, long MemoryBytes, string Runtime);

/// <summary>How it was measured.</summary>
/// <param name="Command">The arguments of the run.</param>
/// <param name="Commit">Of the sources; <c>-dirty</c> if they were changed.</param>
/// <param name="StartedAt">When.</param>
/// <param name="Passes">Passes that count.</param>
/// <param name="SecondsPerPass">How long a pass of load lasts.</param>
/// <param name="Baseline">The leg that others are divided by.</param>
/// <param name="Tools">The versions of the tools that were there.</param>
internal sealed record RunSettings(
    string Command,
    string Commit,
    DateTimeOffset StartedAt,
    int Passes,
    double SecondsPerPass,
    string Baseline,
    IReadOnlyDictionary<string, string> Tools);

internal enum ScenarioStatus
{
    Measured,
    Skipped,
    Failed,
}

/// <param name="Name">Its name on the command line.</param>
/// <param name="Title">What it does.</param>
/// <param name="Connections">How many connections; null where that says nothing.</param>
/// <param name="Headline">The metrics that matter here, in order.</param>
/// <param name="Generator">What made the load.</param>
/// <param name="Status">Whether there are samples.</param>
/// <param name="Reason">Why not, if not.</param>
/// <param name="Legs">The samples of each leg.</param>
/// <param name="WarmUpPasses">How many passes of each leg were thrown away.</param>
/// <param name="Notes">What a reader should know.</param>
internal sealed record ScenarioResult(
    string Name,
    string Title,
    int? Connections,
    IReadOnlyList<string> Headline,
    string? Generator,
    ScenarioStatus Status,
    string? Reason,
    IReadOnlyList<LegResult> Legs,
    int WarmUpPasses = 1,
    IReadOnlyList<string>? Notes = null)
{
    internal LegResult? Leg(string name) => Legs.FirstOrDefault(leg => leg.Name == name);
}

/// <param name="Name">The leg.</param>
/// <param name="Transport">What the server says it runs on.</param>
/// <param name="Samples">One for each pass that counts.</param>
internal sealed record LegResult(string Name, string Transport, IReadOnlyList<Sample> Samples);

/// <param name="Pass">From 1; those that warmed up are not counted.</param>
/// <param name="GeneratorLimited">Whether the load generator was what limited it.</param>
/// <param name="Values">By the metrics' names.</param>
internal sealed record Sample(int Pass, bool GeneratorLimited, IReadOnlyDictionary<string, double> Values);
