using System.Diagnostics;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>From starting the process to its first answer. The server says when it listens: nobody has to ask until then.</summary>
internal sealed class ColdStartScenario : Scenario
{
    private const string Path = "/plaintext";

    /// <summary>Is the application published with ReadyToRun, and not started as it was built?</summary>
    internal bool IsPublished { get; init; }

    internal override bool WorksAttached => false;

    internal override bool NeedsFreshServers => true;

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        string program = IsPublished
            ? await context.PublishedServer.GetAsync(cancellationToken)
            : System.IO.Path.Combine(AppContext.BaseDirectory, ServerProcess.Application);
        long start = Stopwatch.GetTimestamp();
        await using ServerProcess process =
            await ServerProcess.StartAsync(context.Limits.Launcher, program, leg.Arguments, cancellationToken);
        int port = process.Port("http1");
        await FirstAnswer.GetAsync(ServerProcess.Host, port, Path, cancellationToken);
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);

        using var client = new ServerClient(ServerProcess.Host, port);
        ProcessUsage usage = await client.GetUsageAsync(collect: false, resetPeak: false, cancellationToken);
        return usage.Transport != leg.Transport
            ? throw new LoadException($"The server of {leg.Name} runs on {usage.Transport}.")
            : new PassFigures
            {
                Transport = usage.Transport,
                [Metrics.FirstAnswer] = elapsed.TotalMicroseconds,
                [Metrics.StartCpu] = usage.UserMicroseconds + usage.SystemMicroseconds,
                [Metrics.PeakMemory] = usage.PeakResidentBytes,
            };
    }
}
