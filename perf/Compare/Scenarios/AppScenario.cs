using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>A load on an application as people write them, one of <c>perf/Apps</c>.</summary>
internal class AppScenario : LoadScenario
{
    /// <summary>Gets its name there.</summary>
    internal required string App { get; init; }

    internal override string Program => ServerProcess.Apps;

    internal override bool WorksAttached => false;

    /// <summary>Gets what it needs beside it; null: nothing.</summary>
    internal Func<ScenarioContext, CancellationToken, Task<Companion>>? CompanionStarter { get; init; }

    internal override async Task<Companion?> StartCompanionAsync(ScenarioContext context, CancellationToken cancellationToken) =>
        CompanionStarter is null ? null : await CompanionStarter(context, cancellationToken);

    internal override IReadOnlyList<string> GetServerArguments(ScenarioContext context) =>
        [.. base.GetServerArguments(context), "--app", App, "--data", context.Directory];
}
