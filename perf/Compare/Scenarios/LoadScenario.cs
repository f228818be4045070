using System.Net;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>A load of one kind, all the time.</summary>
internal class LoadScenario : Scenario
{
    private const int SourceAddresses = 200;

    internal LoadProtocol Protocol { get; init; } = LoadProtocol.Http1;

    internal string Path { get; init; } = "/plaintext";

    internal bool IsTls { get; init; }

    internal bool IsUnix { get; init; }

    internal int Depth { get; init; } = 1;

    internal int RequestsPerConnection { get; init; }

    internal long UploadBytes { get; init; }

    internal byte[]? Body { get; init; }

    internal IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    internal int? AnswerBytes { get; init; }

    private bool IsClearHttp2 => Protocol == LoadProtocol.Http2 && !IsTls;

    // The socket's file would have to be where the load generator sees it, and the port of clear HTTP/2 is one that others have no use for.
    internal override bool WorksAttached => !IsUnix && !IsClearHttp2;

    internal override IReadOnlyList<string> GetServerArguments(ScenarioContext context) =>
    [
        .. IsTls ? new[] { "--tls" } : [],
        .. IsClearHttp2 ? new[] { "--protocols", "http2", "--http1-port", "0" } : [],
        .. IsUnix ? new[] { "--unix", System.IO.Path.Combine(context.Directory, System.IO.Path.GetRandomFileName()) } : [],
        .. Protocol == LoadProtocol.Echo ? new[] { "--echo-port", "0" } : [],
    ];

    internal override string GetGeneratorName(ScenarioContext context) =>
        context.Generators.Choose(CreateRequest(context, ServerProcess.Host, port: 0, IsUnix ? "socket" : null)).Name;

    internal override async Task<string?> DescribeAnswerAsync(
        ScenarioContext context, MeasuredServer server, CancellationToken cancellationToken) =>
        Protocol is LoadProtocol.WebSocket or LoadProtocol.ServerSentEvents or LoadProtocol.Echo
            ? null
            : await ServerClient.DescribeAnswerAsync(CreateRequest(context, server), cancellationToken);

    internal override Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(server);
        LoadRequest request = CreateRequest(context, server);
        ILoadGenerator generator = context.Generators.Choose(request);
        return LoadFigures.MeasureAsync(server, () => generator.RunAsync(request, cancellationToken), cancellationToken);
    }

    /// <summary>Gets whether the load can be made once more only to count what the server does for it.</summary>
    internal virtual bool CanBeCounted => true;

    /// <summary>Makes the load once more, and only counts.</summary>
    internal async Task<long> CountRequestsAsync(ScenarioContext context, MeasuredServer server, CancellationToken cancellationToken)
    {
        LoadRequest request = CreateRequest(context, server);
        return (await context.Generators.Choose(request).RunAsync(request, cancellationToken)).Requests;
    }

    private LoadRequest CreateRequest(ScenarioContext context, MeasuredServer server)
    {
        string endpoint = Protocol == LoadProtocol.Echo ? "echo" : IsTls ? "https" : IsClearHttp2 ? "http2" : "http1";
        return CreateRequest(context, server.Host, server.Port(endpoint), IsUnix ? server.UnixPath : null);
    }

    private LoadRequest CreateRequest(ScenarioContext context, string host, int port, string? unixPath) => new()
    {
        Protocol = Protocol,
        Host = host,
        Port = port,
        UnixPath = unixPath,
        IsTls = IsTls,
        Path = Path,
        Connections = Connections ?? 1,
        Seconds = context.Seconds,
        Threads = context.LoadThreads,
        Depth = Depth,
        RequestsPerConnection = RequestsPerConnection,
        Sources = RequestsPerConnection > 0 && IPAddress.IsLoopback(IPAddress.Parse(host)) ? SourceAddresses : 0,
        UploadBytes = UploadBytes,
        Body = Body,
        Headers = Headers,
        AnswerBytes = AnswerBytes,
    };
}
