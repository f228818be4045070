using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>Something that is done to each leg in turns, and measured.</summary>
internal abstract class Scenario
{
    /// <summary>Gets its name on the command line.</summary>
    internal required string Name { get; init; }

    /// <summary>Gets what it does, in a few words.</summary>
    internal required string Title { get; init; }

    /// <summary>Gets how many connections there are; null where that says nothing.</summary>
    internal int? Connections { get; init; }

    /// <summary>Gets the metrics that matter here, in order.</summary>
    internal required IReadOnlyList<Metric> Headline { get; init; }

    /// <summary>Gets whether it is among the few of a quick run.</summary>
    internal bool IsQuick { get; init; }

    /// <summary>Gets whether it can be done to a server that runs already.</summary>
    internal virtual bool WorksAttached => true;

    /// <summary>Gets whether each pass starts a server of its own, because the server's past would count.</summary>
    internal virtual bool NeedsFreshServers => false;

    /// <summary>Gets legs that only this scenario has.</summary>
    internal virtual IReadOnlyList<string> OwnLegs => [];

    /// <summary>Gets the program that is measured.</summary>
    internal virtual string Program => ServerProcess.Application;

    /// <summary>What the server has to be started with, beside the transport.</summary>
    internal virtual IReadOnlyList<string> GetServerArguments(ScenarioContext context) => [];

    /// <summary>What makes the load, for the record; null: nothing.</summary>
    /// <exception cref="MissingToolException">Nothing that could is installed.</exception>
    internal virtual string? GetGeneratorName(ScenarioContext context) => null;

    /// <summary>How many connections a run has; null where that says nothing.</summary>
    internal virtual int? GetConnections(ScenarioContext context) => Connections;

    /// <summary>Starts what the application needs beside it; null: nothing.</summary>
    internal virtual Task<Companion?> StartCompanionAsync(ScenarioContext context, CancellationToken cancellationToken) =>
        Task.FromResult<Companion?>(null);

    /// <summary>Opens the server of a leg.</summary>
    internal virtual async Task<MeasuredServer> OpenServerAsync(ScenarioContext context, Leg leg, CancellationToken cancellationToken) =>
        await HttpServer.OpenAsync(
            leg,
            context.Limits.Launcher,
            Program,
            [.. GetServerArguments(context), .. context.Companion?.ServerArguments ?? []],
            cancellationToken);

    /// <summary>One answer of a server, described: all legs must give the same. Null: the load itself checks every answer.</summary>
    internal virtual Task<string?> DescribeAnswerAsync(
        ScenarioContext context, MeasuredServer server, CancellationToken cancellationToken) => Task.FromResult<string?>(null);

    /// <summary>Measures one pass. <paramref name="server"/> is null if the scenario <see cref="NeedsFreshServers"/>.</summary>
    internal abstract Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken);
}
