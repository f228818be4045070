using System.Text;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>The scenarios on applications as people write them.</summary>
internal static class AppScenarios
{
    private const int Connections = 64;
    private const int EchoSize = 500;

    private static readonly Metric[] Requests = [Metrics.Rate, Metrics.Cpu, Metrics.P99];

    private static readonly Dictionary<string, string> Json = new() { ["Content-Type"] = "application/json" };
    private static readonly Dictionary<string, string> Compressed = new() { ["Accept-Encoding"] = "gzip" };

    // All of it 500 bytes.
    private static readonly string EchoBody = $$"""{"message":"{{new string('x', EchoSize - """{"message":""}""".Length)}}"}""";

    internal static readonly IReadOnlyList<Scenario> All =
    [
        Of("minimal", "app-string", "minimal API, a string", "/", isQuick: true),
        Of("minimal", "app-json", "minimal API, an object", "/json"),
        Of("minimal", "app-typed", "minimal API, a typed result", "/typed"),
        Of("minimal", "app-post", "minimal API, 500 bytes of JSON in and out", "/echo", Json, EchoBody),
        Of("mvc", "mvc-get", "MVC, an object", "/products/1", isQuick: true),
        Of("mvc", "mvc-post", "MVC, model binding and validation", "/products", Json, """{"id":1,"name":"A product","price":9.95}"""),
        Of("razor", "razor", "a Razor page", "/report"),
        Of("static", "static-10k", "a static file of 10 KB", "/10k.txt", isQuick: true),
        Of("static", "static-1m", "a static file of 1 MB", "/1m.txt"),
        Of("compressed", "compressed-json", "JSON, compressed", "/json", Compressed),
        Of("compressed", "compressed-10k", "a static file of 10 KB, compressed", "/10k.txt", Compressed),
        Of("compressed", "compressed-1m", "a static file of 1 MB, compressed", "/1m.txt", Compressed),
        Of("read-file", "read-file", "File.ReadAllTextAsync, then a string", "/file"),
        Of("awaits", "await-1", "one Task.Yield, then a string", "/one", isQuick: true),
        Of("awaits", "await-3", "three times Task.Yield, then a string", "/three"),
        Of("output-cache", "output-cache", "an answer from the output cache", "/cached"),
        Of("http-client", "http-client", "an HttpClient that asks another server", "/", companion: StartUpstreamAsync),
        Of("yarp", "yarp", "YARP in front of another server", "/", companion: StartUpstreamAsync),
        Of("fortunes", "fortunes", "fortunes: a Razor page from PostgreSQL", "/fortunes", companion: StartPostgresAsync),
        new AppScenario
        {
            Name = "grpc-unary", Title = "gRPC, one answer, 64 connections", App = "grpc", Path = GrpcCall.UnaryPath,
            Protocol = LoadProtocol.Http2, Body = GrpcCall.CreateBody(replies: 1), AnswerBytes = GrpcCall.ReplyBytes,
            Headers = GrpcCall.Headers, Connections = Connections, Headline = Requests,
        },
        new AppScenario
        {
            Name = "grpc-stream", Title = "gRPC, a stream of 100 answers, 16 connections", App = "grpc", Path = GrpcCall.StreamPath,
            Protocol = LoadProtocol.Http2, Body = GrpcCall.CreateBody(GrpcCall.StreamedReplies),
            AnswerBytes = GrpcCall.StreamedReplies * GrpcCall.ReplyBytes, Headers = GrpcCall.Headers, Connections = 16, Headline = Requests,
        },
        new SignalRScenario
        {
            Name = "signalr-invoke", Title = "SignalR, calls that are answered, 64 clients", App = "signalr", Connections = Connections,
            Headline = Requests,
        },
        new SignalRScenario
        {
            Name = "signalr-broadcast", Title = "SignalR, messages to 500 clients", App = "signalr", IsBroadcast = true, Connections = 500,
            Headline = Requests,
        },
        new AppScenario
        {
            Name = "sse", Title = "server-sent events: 64 streams, a message every 20 ms", App = "sse", Path = "/events/20",
            Protocol = LoadProtocol.ServerSentEvents, Connections = Connections, Headline = [Metrics.P50, Metrics.P99, Metrics.Cpu],
        },
    ];

    private static AppScenario Of(
        string app,
        string name,
        string title,
        string path,
        IReadOnlyDictionary<string, string>? headers = null,
        string? body = null,
        bool isQuick = false,
        Func<ScenarioContext, CancellationToken, Task<Companion>>? companion = null) => new()
        {
            Name = name,
            Title = title,
            App = app,
            Path = path,
            Connections = Connections,
            Headline = Requests,
            IsQuick = isQuick,
            Body = body is null ? null : Encoding.UTF8.GetBytes(body),
            Headers = headers ?? new Dictionary<string, string>(),
            CompanionStarter = companion,
        };

    private static async Task<Companion> StartUpstreamAsync(ScenarioContext context, CancellationToken cancellationToken) =>
        await UpstreamServer.StartAsync(context.Directory, cancellationToken);

    private static async Task<Companion> StartPostgresAsync(ScenarioContext context, CancellationToken cancellationToken) =>
        await PostgresServer.StartAsync(cancellationToken);
}
