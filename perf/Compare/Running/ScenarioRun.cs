using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>
/// One scenario. All its servers run all the time, so that noise of the machine meets all of them; the legs take turns in an order that
/// changes from pass to pass; passes that warm up come first, and are thrown away.
/// </summary>
internal sealed class ScenarioRun(Scenario scenario, ScenarioContext context, CompareOptions options, Action<int, int> progress)
    : IAsyncDisposable
{
    // Less would leave code that is not optimised yet to the passes that count.
    private const double LeastWarmUpSeconds = 2;

    private readonly Dictionary<string, MeasuredServer> _servers = [];
    private readonly Dictionary<string, string> _transports = [];
    private readonly List<string> _notes = [];
    private Companion? _companion;

    /// <summary>Gets how many passes of each leg were thrown away.</summary>
    internal int WarmUpPasses { get; private set; }

    /// <summary>Gets what a reader of the figures should know.</summary>
    internal IReadOnlyList<string> Notes => _notes;

    internal async Task<IReadOnlyList<LegResult>> MeasureAsync(CancellationToken cancellationToken)
    {
        Leg[] legs = [.. options.Legs, .. scenario.OwnLegs.Select(static name => new Leg(name, name, []))];
        _companion = await scenario.StartCompanionAsync(context, cancellationToken);
        context = context with { Companion = _companion };
        if (!scenario.NeedsFreshServers)
        {
            await OpenServersAsync(legs, cancellationToken);
        }

        StolenTime stolen = StolenTime.Read();
        await WarmUpAsync(legs, cancellationToken);
        var samples = legs.ToDictionary(static leg => leg.Name, static _ => new List<Sample>());
        for (int pass = 1; pass <= options.Passes; pass++)
        {
            progress(WarmUpPasses + pass - 1, WarmUpPasses + options.Passes);
            await MeasurePassAsync(legs, context, (leg, figures) => samples[leg.Name].Add(figures.ToSample(pass)), cancellationToken);
        }

        if (StolenTime.Read().Since(stolen) is { } note)
        {
            _notes.Add(note);
        }

        if (options.CountsSystemCalls)
        {
            await CountSystemCallsAsync(legs, samples, cancellationToken);
        }

        return [.. legs.Select(leg => new LegResult(leg.Name, _transports[leg.Name], samples[leg.Name]))];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (MeasuredServer server in _servers.Values)
        {
            await server.DisposeAsync();
        }

        if (_companion is not null)
        {
            await _companion.DisposeAsync();
        }
    }

    // Servers that are new in each pass warm themselves up; one pass shows then that all works.
    private async Task WarmUpAsync(Leg[] legs, CancellationToken cancellationToken)
    {
        ScenarioContext longer = context with { Seconds = Math.Max(context.Seconds, LeastWarmUpSeconds) };
        var warmUp = new WarmUp();
        string? left = null;
        do
        {
            progress(WarmUpPasses, WarmUpPasses + options.Passes + 1);
            await MeasurePassAsync(legs, longer, (leg, figures) => warmUp.Add(leg.Name, figures), cancellationToken);
            WarmUpPasses++;
            left = scenario.NeedsFreshServers ? null : warmUp.WhatIsLeft;
        }
        while (left is not null && WarmUpPasses < WarmUp.MostPasses);

        if (left is not null)
        {
            _notes.Add(FormattableString.Invariant($"not warm after {WarmUpPasses} passes: {left}"));
        }
    }

    private async Task MeasurePassAsync(
        Leg[] legs, ScenarioContext passContext, Action<Leg, PassFigures> add, CancellationToken cancellationToken)
    {
        Leg[] order = [.. legs];
        Random.Shared.Shuffle(order);
        foreach (Leg leg in order)
        {
            long? stops = context.Limits.ReadStops();
            PassFigures figures = await scenario.MeasureAsync(passContext, leg, _servers.GetValueOrDefault(leg.Name), cancellationToken);
            if (context.Limits.ReadStops() - stops is { } stopped)
            {
                figures[Metrics.Stopped] = stopped;
            }

            _transports[leg.Name] = CheckTransport(leg, figures);
            add(leg, figures);
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
            if (scenario is LoadScenario { CanBeCounted: true } load &&
                _servers.GetValueOrDefault(leg.Name) is { LocalPid: { } pid } server)
            {
                PassFigures calls = await SystemCallCounter.CountPerRequestAsync(pid, load, context, leg, server, cancellationToken);
                samples[leg.Name].Add(calls.ToSample(options.Passes + 1));
            }
        }
    }
}
