using System.Diagnostics;
using System.Net;
using System.Text.Json;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>
/// Connections that have had one answer and then say nothing: what each of them holds, and what the server does meanwhile. Each pass has a
/// server of its own, because one that has had as many connections before keeps buffers for the next.
/// </summary>
internal sealed class IdleScenario : Scenario
{
    private const int WarmUpConnections = 16;
    private const double WarmUpSeconds = 0.5;
    private const int SourceAddresses = 4;

    // What comes after a connection's last request (timers, ends of handshakes) is not idleness.
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    internal bool IsTls { get; init; }

    internal override bool NeedsFreshServers => true;

    internal override IReadOnlyList<string> GetServerArguments(ScenarioContext context) => IsTls ? ["--tls"] : [];

    internal override int? GetConnections(ScenarioContext context) => context.IdleConnections;

    internal override string? GetGeneratorName(ScenarioContext context) => new HttpLoad(context.Programs).Name;

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        await using MeasuredServer own = await OpenServerAsync(context, leg, cancellationToken);
        var generator = new HttpLoad(context.Programs);
        LoadRequest request = CreateRequest(context, own);
        await generator.RunAsync(request with { Connections = WarmUpConnections, Seconds = WarmUpSeconds, Sources = 0 }, cancellationToken);
        await Task.Delay(Rest, cancellationToken);

        ProcessUsage before = await own.ReadUsageAsync(collect: true, resetPeak: true, cancellationToken);
        await using BackgroundLoad held = await generator.HoldAsync(request, cancellationToken);
        await Task.Delay(Rest, cancellationToken);
        ProcessUsage after = await own.ReadUsageAsync(collect: true, resetPeak: false, cancellationToken);

        // What the collections leave to do comes to an end first.
        await Task.Delay(Rest, cancellationToken);
        ProcessUsage idle = await own.ReadUsageAsync(collect: false, resetPeak: false, cancellationToken);
        long start = Stopwatch.GetTimestamp();
        await Task.Delay(TimeSpan.FromSeconds(context.Seconds), cancellationToken);
        ProcessUsage end = await own.ReadUsageAsync(collect: false, resetPeak: false, cancellationToken);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

        JsonElement report = await held.EndAsync(cancellationToken);
        if (report.GetProperty("lost").GetInt64() is var lost and > 0)
        {
            throw new LoadException(FormattableString.Invariant($"{lost} idle connections were closed by the server."));
        }

        double connections = request.Connections;
        return new PassFigures
        {
            Transport = after.Transport,
            [Metrics.HeapPerConnection] = (after.HeapBytes - before.HeapBytes) / connections,
            [Metrics.ResidentPerConnection] = (after.ResidentBytes - before.ResidentBytes) / connections,
            [Metrics.IdleCpu] =
                (end.UserMicroseconds + end.SystemMicroseconds - idle.UserMicroseconds - idle.SystemMicroseconds) / seconds,
            [Metrics.PeakMemory] = after.PeakResidentBytes,
        };
    }

    private LoadRequest CreateRequest(ScenarioContext context, MeasuredServer server) => new()
    {
        Protocol = LoadProtocol.Http1,
        Host = server.Host,
        Port = server.Port(IsTls ? "https" : "http1"),
        IsTls = IsTls,
        Connections = context.IdleConnections,
        Seconds = context.Seconds,
        Sources = IPAddress.IsLoopback(IPAddress.Parse(server.Host)) ? SourceAddresses : 0,
    };
}
