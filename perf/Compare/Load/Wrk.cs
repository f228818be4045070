using System.Globalization;
using System.Text;
using System.Text.Json;
using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>wrk, with a script that pipelines and prints JSON: its own report rounds, and leaves the tail of the latencies out.</summary>
internal sealed class Wrk : ILoadGenerator
{
    private static readonly (string Key, Metric Metric)[] Percentiles =
    [
        ("p50", Metrics.P50), ("p75", Metrics.P75), ("p90", Metrics.P90), ("p99", Metrics.P99), ("p99_9", Metrics.P999),
        ("max", Metrics.Max),
    ];

    public string Name => "wrk";

    public bool IsInstalled => Tool.Find(Name) is not null;

    public string InstallCommand => "apt-get install wrk";

    public bool CanMake(LoadRequest request) => request.IsOrdinary;

    public async Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        // It wants a connection for each thread, and whole seconds.
        int threads = Math.Min(request.Threads, request.Connections);
        ToolOutput output = await Tool.RunAsync(
            Tool.Find(Name) ?? throw new MissingToolException(Name, InstallCommand),
            [
                FormattableString.Invariant($"-t{threads}"),
                FormattableString.Invariant($"-c{request.Connections}"),
                FormattableString.Invariant($"-d{Math.Ceiling(request.Seconds)}s"),
                "--timeout", "30s",
                .. request.Headers.SelectMany(static field => new[] { "-H", $"{field.Key}: {field.Value}" }),
                "-s", Path.Combine(AppContext.BaseDirectory, "load", "wrk.lua"),
                request.Url,
                "--", request.Depth.ToString(CultureInfo.InvariantCulture),
                .. request.Body is { } body ? new[] { Encoding.UTF8.GetString(body) } : [],
            ],
            cancellationToken);
        return Parse(output.Text).From(output, threads);
    }

    internal static LoadResult Parse(string text)
    {
        string json = text.Split('\n').LastOrDefault(static line => line.StartsWith('{')) ??
            throw new LoadException($"wrk printed no result: {text.Trim()}");
        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement result = document.RootElement;
        return result.GetProperty("errors").GetInt64() is var errors and > 0
            ? throw new LoadException(FormattableString.Invariant($"wrk: {errors} requests failed{Explain(text)}"))
            : new LoadResult
            {
                Seconds = result.GetProperty("seconds").GetDouble(),
                Requests = result.GetProperty("requests").GetInt64(),
                Bytes = result.GetProperty("bytes").GetInt64(),

                // Its correction for what it could not send in time may lose the last percentiles; they are 0 then.
                Latencies = Percentiles
                    .Select(pair => (pair.Metric, Value: result.GetProperty(pair.Key).GetDouble()))
                    .Where(static pair => pair.Value > 0)
                    .ToDictionary(),
            };
    }

    // Two kinds of lines say what went wrong.
    private static string Explain(string text) => string.Concat(text.Split('\n')
        .Select(static line => line.Trim())
        .Where(static line =>
            line.StartsWith("Socket errors", StringComparison.Ordinal)
            || line.StartsWith("Non-2xx", StringComparison.Ordinal))
        .Select(static line => "; " + line));
}
