using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>Clients that take their long answers in small pieces, and what that leaves to others, and costs in memory.</summary>
internal sealed class SlowReadersScenario : Scenario
{
    private const string Source = "load/slowread.c";
    private const string Readers = "100";
    private const int FastConnections = 16;

    internal override string GetGeneratorName(ScenarioContext context) =>
        context.Generators.Choose(CreateRequest(context, ServerProcess.Host, port: 0)).Name + ", slowread";

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(server);
        int port = server.Port("http1");
        LoadRequest request = CreateRequest(context, server.Host, port);
        string program = await context.Programs.GetAsync(Source, withTls: false, cancellationToken);
        PassFigures figures = await LoadFigures.MeasureAsync(
            server,
            async () =>
            {
                await using BackgroundLoad readers =
                    await BackgroundLoad.StartAsync(program, ["--url", request.Authority, "--connections", Readers], cancellationToken);
                LoadResult fast = await context.Generators.Choose(request).RunAsync(request, cancellationToken);
                await readers.EndAsync(cancellationToken);
                return fast;
            },
            cancellationToken);
        return figures;
    }

    private static LoadRequest CreateRequest(ScenarioContext context, string host, int port) => new()
    {
        Protocol = LoadProtocol.Http1,
        Host = host,
        Port = port,
        Connections = FastConnections,
        Seconds = context.Seconds,
        Threads = context.LoadThreads,
    };
}
