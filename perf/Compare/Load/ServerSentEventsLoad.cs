using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Streams of messages, and how long each was under way: see <c>load/sse.c</c>.</summary>
internal sealed class ServerSentEventsLoad(LoadPrograms programs) : ILoadGenerator
{
    public string Name => "sse";

    public bool IsInstalled => LoadPrograms.CanCompile;

    public string InstallCommand => LoadPrograms.InstallCompiler;

    public bool CanMake(LoadRequest request) => request is { Protocol: LoadProtocol.ServerSentEvents, IsTls: false };

    public async Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        ToolOutput output = await Tool.RunAsync(
            await programs.GetAsync("load/sse.c", withTls: false, cancellationToken),
            [
                "--url", request.Authority, "--path", request.Path,
                "--connections", request.Connections.ToString(CultureInfo.InvariantCulture),
                "--seconds", request.Seconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        return OwnReport.ReadGroup(OwnReport.Parse(output.Text), "sse").From(output, threads: 1);
    }
}
