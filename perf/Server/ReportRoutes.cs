using System.Text.Json;

namespace KestrelNetpoll.Perf.Server;

/// <summary>What a measured program tells of itself: see <c>README.md</c> in the directory above.</summary>
internal sealed class ReportRoutes(TransportName transport, Listeners listeners)
{
    private static readonly string[] Paths = ["/transport", "/endpoints", "/process", "/stats"];

    /// <summary>The handler of a path; null if it is none of these.</summary>
    internal RequestDelegate? Find(string path) => path switch
    {
        "/transport" => context => WriteAsync(context, TransportReport.Of(context, transport)),
        "/endpoints" => context => WriteAsync(context, listeners.Report()),
        "/process" => WriteUsageAsync,
        "/stats" => static context => WriteAsync(context, ProcessReport.Create()),
        _ => null,
    };

    /// <summary>Adds them to an application with endpoint routing, beside whatever it serves.</summary>
    internal void Map(IEndpointRouteBuilder endpoints)
    {
        foreach (string path in Paths)
        {
            endpoints.Map(path, Find(path)!);
        }
    }

    private Task WriteUsageAsync(HttpContext context)
    {
        if (context.Request.Query.ContainsKey("reset-peak"))
        {
            ProcessUsage.ResetPeak();
        }

        return WriteAsync(context, ProcessUsage.Read(transport.Of(context), context.Request.Query.ContainsKey("collect")));
    }

    private static Task WriteAsync<T>(HttpContext context, T report)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(report, typeof(T), ReportContext.Default);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        return context.Response.Body.WriteAsync(json, 0, json.Length);
    }
}
