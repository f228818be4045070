using System.Globalization;
using System.Net;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>
/// All kinds of clients on one server at once. The rate and the latencies are those of the first kind: short requests on kept connections.
/// </summary>
/// <remarks>
/// What the server uses meanwhile is divided by all answers that came whole, and all WebSocket messages that came back. Work for clients
/// that go away in the middle, or read slowly, counts as used, and gives no answer.
/// </remarks>
internal sealed class MixedScenario : Scenario
{
    private const string Aborts = "load/abort.c";
    private const string SlowReaders = "load/slowread.c";
    private const string HttpSource = "load/httpload.c";
    private const string WebSocketSource = "load/websocket.c";

    private const int OtherConnections = 8;
    private const int FewConnections = 4;
    private const int SourceAddresses = 200;
    private const int UploadBytes = 100_000;
    private const string SlowConnections = "16";
    private const string BlockingPath = "/sleep/5";
    private const double MicrosecondsPerSecond = 1e6;

    // Of the kinds after the first one, in the order of the requests.
    private static readonly Metric[] OtherRates =
        [Metrics.NewRate, Metrics.TlsRate, Metrics.WebSocketRate, Metrics.UploadRate, Metrics.BlockingRate];

    internal override IReadOnlyList<string> GetServerArguments(ScenarioContext context) => ["--tls"];

    internal override string GetGeneratorName(ScenarioContext context) => "httpload, websocket, abort, slowread";

    internal override async Task<string?> DescribeAnswerAsync(
        ScenarioContext context, MeasuredServer server, CancellationToken cancellationToken)
    {
        var answers = new List<string>();
        foreach (LoadRequest request in CreateRequests(context, server).Where(static request => request.Protocol == LoadProtocol.Http1))
        {
            answers.Add(await ServerClient.DescribeAnswerAsync(request, cancellationToken));
        }

        return string.Join("; ", answers);
    }

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(server);
        LoadRequest[] requests = CreateRequests(context, server);

        // Compiled one after the other, and before anything is measured.
        string slowReaders = await context.Programs.GetAsync(SlowReaders, withTls: false, cancellationToken);
        string aborts = await context.Programs.GetAsync(Aborts, withTls: false, cancellationToken);
        await context.Programs.GetAsync(HttpSource, withTls: false, cancellationToken);
        await context.Programs.GetAsync(HttpSource, withTls: true, cancellationToken);
        await context.Programs.GetAsync(WebSocketSource, withTls: false, cancellationToken);
        var generators = new LoadGenerators([new HttpLoad(context.Programs), new WebSocketLoad(context.Programs)]);

        LoadResult[] results = [];
        PassFigures figures = await LoadFigures.MeasureAsync(
            server,
            async () =>
            {
                ResourceUsage before = ResourceUsage.OfEndedChildren();
                await using BackgroundLoad slow = await BackgroundLoad.StartAsync(
                    slowReaders, ["--url", requests[0].Authority, "--connections", SlowConnections], cancellationToken);
                Task<ToolOutput> gone = Tool.RunAsync(
                    aborts,
                    ["--url", requests[0].Authority, "--seconds", context.Seconds.ToString(CultureInfo.InvariantCulture)],
                    cancellationToken);
                Task<LoadResult[]> answered = Task.WhenAll(
                    requests.Select(request => generators.Choose(request).RunAsync(request, cancellationToken)));
                await Task.WhenAll(gone, answered);
                await slow.EndAsync(cancellationToken);
                results = await answered;
                ResourceUsage after = ResourceUsage.OfEndedChildren();
                return Sum(results, (after.CpuMicroseconds - before.CpuMicroseconds) / MicrosecondsPerSecond);
            },
            cancellationToken);
        figures[Metrics.Rate] = Rate(results[0]);
        figures[Metrics.OtherRate] = results.Skip(1).Sum(Rate);
        foreach ((Metric metric, LoadResult result) in OtherRates.Zip(results.Skip(1)))
        {
            figures[metric] = Rate(result);
        }

        return figures;
    }

    /// <summary>The first one's, with the answers of all.</summary>
    /// <param name="results">Of each kind of clients.</param>
    /// <param name="cpuSeconds">What all load programs have used, those included that count no answers.</param>
    internal static LoadResult Sum(IReadOnlyList<LoadResult> results, double cpuSeconds)
    {
        LoadResult first = results[0];
        return results.Any(static result => result.Requests == 0)
            ? throw new LoadException("Not one request of a kind was answered.")
            : first with
            {
                Requests = results.Sum(static result => result.Requests),
                Bytes = 0,
                BesideCores = Math.Max(0, (cpuSeconds / first.Seconds) - first.GeneratorCores),
            };
    }

    private static double Rate(LoadResult result) => result.Requests / result.Seconds;

    // The first kind is the one whose rate and latencies count.
    private LoadRequest[] CreateRequests(ScenarioContext context, MeasuredServer server)
    {
        var kept = new LoadRequest
        {
            Protocol = LoadProtocol.Http1,
            Host = server.Host,
            Port = server.Port("http1"),
            Connections = Connections ?? 1,
            Seconds = context.Seconds,
        };
        LoadRequest other = kept with { Connections = OtherConnections };
        return
        [
            kept,
            other with { RequestsPerConnection = 1, Sources = IPAddress.IsLoopback(IPAddress.Parse(server.Host)) ? SourceAddresses : 0 },
            other with { IsTls = true, Port = server.Port("https") },
            other with { Protocol = LoadProtocol.WebSocket, Path = "/websocket" },
            other with { Connections = FewConnections, Path = "/upload", UploadBytes = UploadBytes },
            other with { Connections = FewConnections, Path = BlockingPath },
        ];
    }
}
