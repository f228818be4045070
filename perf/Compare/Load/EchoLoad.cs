using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Round trips of short messages without any protocol: see <c>echo/echo_load.c</c>.</summary>
internal sealed class EchoLoad(LoadPrograms programs) : ILoadGenerator
{
    public string Name => "echo_load";

    public bool IsInstalled => LoadPrograms.CanCompile;

    public string InstallCommand => LoadPrograms.InstallCompiler;

    public bool CanMake(LoadRequest request) => request.Protocol == LoadProtocol.Echo;

    public async Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        ToolOutput output = await Tool.RunAsync(
            await programs.GetAsync("echo/echo_load.c", withTls: false, cancellationToken),
            [
                "--url", request.Authority,
                "--connections", request.Connections.ToString(CultureInfo.InvariantCulture),
                "--seconds", request.Seconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        return OwnReport.ReadGroup(OwnReport.Parse(output.Text), "echo").From(output, threads: 1);
    }
}
