using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Servers;
using Spectre.Console;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>
/// One scenario. All its servers run all the time, so that noise of the machine meets all of them; the legs take turns in an order that changes
/// from pass to pass; the first pass, number 0, warms up and is thrown away.
/// </summary>
internal sealed class ScenarioRun(Scenario scenario, ScenarioContext context, CompareOptions options, ProgressTask progress) : IAsyncDisposable
{
    // Less would leave code that is not optimised yet to the passes that count.
    private const double LeastWarmUpSeconds = 2;

    private readonly Dictionary<string, MeasuredServer> _servers = [];

    internal async Task<IReadOnlyList<LegResult>> MeasureAsync(CancellationToken cancellationToken)
    {
        Leg[] legs = [.. options.Legs, .. scenario.OwnLegs.Select(static name => new Leg(name, name, []))];
        if (!scenario.NeedsFreshServers)
        {
            await OpenServersAsync(legs, cancellationToken);
        }

        var samples = legs.ToDictionary(static leg => leg.Name, static _ => new List<Sample>());
        var transports = new Dictionary<string, string>();
        progress.MaxValue = (options.Passes + 1) * legs.Length;
        for (int pass = 0; pass <= options.Passes; pass++)
        {
            ScenarioContext passContext =
                pass == 0 ? context with { Seconds = Math.Max(context.Seconds, LeastWarmUpSeconds) } : context;
            Leg[] order = [.. legs];
            Random.Shared.Shuffle(order);
            foreach (Leg leg in order)
            {
                PassFigures figures =
                    await scenario.MeasureAsync(passContext, leg, _servers.GetValueOrDefault(leg.Name), cancellationToken);
                transports[leg.Name] = CheckTransport(leg, figures);
                progress.Increment(1);
                if (pass > 0)
                {
                    samples[leg.Name].Add(figures.ToSample(pass));
                }
            }
        }

        if (options.CountsSystemCalls)
        {
            await CountSystemCallsAsync(legs, samples, cancellationToken);
        }

        return [.. legs.Select(leg => new LegResult(leg.Name, transports[leg.Name], samples[leg.Name]))];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (MeasuredServer server in _servers.Values)
        {
            await server.DisposeAsync();
        }
    }

    private async Task OpenServersAsync(Leg[] legs, CancellationToken cancellationToken)
    {
        foreach (Leg leg in legs)
        {
            _servers.Add(leg.Name, await scenario.OpenServerAsync(context, leg, cancellationToken));
        }

        string? expected = null;
        foreach ((string leg, MeasuredServer server) in _servers)
        {
            string? answer = await scenario.DescribeAnswerAsync(context, server, cancellationToken);
            expected ??= answer;
            if (answer != expected)
            {
                throw new LoadException($"{leg} answers '{answer}', and {legs[0].Name} '{expected}'.");
            }
        }
    }

    private static string CheckTransport(Leg leg, PassFigures figures)
    {
        // What the C program calls itself is not the name of the leg.
        string transport = figures.Transport ?? leg.Transport;
        return transport == leg.Transport || leg.Name == Leg.CEpoll
            ? transport
            : throw new LoadException($"The server of {leg.Name} runs on {transport}.");
    }

    // Tracing slows everything down: it counts, in a pass that gives no other figure.
    private async Task CountSystemCallsAsync(Leg[] legs, Dictionary<string, List<Sample>> samples, CancellationToken cancellationToken)
    {
        foreach (Leg leg in legs)
        {
            if (_servers.GetValueOrDefault(leg.Name) is { LocalPid: { } pid } server && scenario is LoadScenario load)
            {
                double calls = await SystemCallCounter.CountPerRequestAsync(pid, load, context, leg, server, cancellationToken);
                samples[leg.Name].Add(new Sample(
                    options.Passes + 1, GeneratorLimited: false, new Dictionary<string, double> { [Metrics.SystemCalls.Id] = calls }));
            }
        }
    }
}
