using System.Globalization;
using System.Text.Json;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Our own HTTP/1.1 clients, for what the others cannot do: see <c>load/httpload.c</c>.</summary>
internal sealed class HttpLoad(LoadPrograms programs) : ILoadGenerator
{
    private const string Source = "load/httpload.c";

    public string Name => "httpload";

    public bool IsInstalled => LoadPrograms.CanCompile;

    public string InstallCommand => LoadPrograms.InstallCompiler;

    public bool CanMake(LoadRequest request) => request is { Protocol: LoadProtocol.Http1, Depth: 1, IsPlain: true };

    public async Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        string program = await programs.GetAsync(Source, request.IsTls, cancellationToken);
        ToolOutput output = await Tool.RunAsync(program, Arguments(request), cancellationToken);
        return Parse(output.Text, request.UploadBytes > 0);
    }

    /// <summary>Opens the connections, has one answer on each, and keeps them until the load is disposed.</summary>
    internal async Task<BackgroundLoad> HoldAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        string program = await programs.GetAsync(Source, request.IsTls, cancellationToken);
        return await BackgroundLoad.StartAsync(program, [.. Arguments(request), "--hold", "1"], cancellationToken);
    }

    internal static LoadResult Parse(string text, bool isUpload)
    {
        JsonElement report = OwnReport.Parse(text);
        return OwnReport.ReadGroup(report, "http", report.GetProperty(isUpload ? "bytes_sent" : "bytes_received").GetInt64()) with
        {
            // Its own word for it: others may end while it runs.
            GeneratorCores = report.GetProperty("generator_cores").GetDouble(),
        };
    }

    private static string[] Arguments(LoadRequest request) =>
    [
        .. request.UnixPath is { } path ? ["--unix", path] : new[] { "--url", request.Authority },
        "--path", request.Path,
        "--connections", Number(request.Connections),
        "--per-connection", Number(request.RequestsPerConnection),
        "--sources", Number(request.Sources),
        "--upload", Number(request.UploadBytes),
        "--seconds", request.Seconds.ToString(CultureInfo.InvariantCulture),
        "--tls", request.IsTls ? "1" : "0",
    ];

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
