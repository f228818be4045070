using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Round trips of short messages over WebSockets: see <c>load/websocket.c</c>.</summary>
internal sealed class WebSocketLoad(LoadPrograms programs) : ILoadGenerator
{
    public string Name => "websocket";

    public bool IsInstalled => LoadPrograms.CanCompile;

    public string InstallCommand => LoadPrograms.InstallCompiler;

    public bool CanMake(LoadRequest request) => request is { Protocol: LoadProtocol.WebSocket, IsTls: false };

    public async Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        ToolOutput output = await Tool.RunAsync(
            await programs.GetAsync("load/websocket.c", withTls: false, cancellationToken),
            [
                "--url", request.Authority, "--path", request.Path,
                "--connections", request.Connections.ToString(CultureInfo.InvariantCulture),
                "--seconds", request.Seconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        return OwnReport.ReadGroup(OwnReport.Parse(output.Text), "websocket").From(output, threads: 1);
    }
}
