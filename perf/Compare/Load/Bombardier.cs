using System.Globalization;
using System.Text.Json;
using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Load;

internal sealed class Bombardier : ILoadGenerator
{
    private static readonly (string Key, Metric Metric)[] Percentiles =
        [("50", Metrics.P50), ("75", Metrics.P75), ("90", Metrics.P90), ("99", Metrics.P99)];

    public string Name => "bombardier";

    public bool IsInstalled => Tool.Find(Name) is not null;

    public string InstallCommand => "go install github.com/codesenberg/bombardier@latest";

    public bool CanMake(LoadRequest request) => request.IsOrdinary && request.Depth == 1 && request.IsPlain;

    public async Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        ToolOutput output = await Tool.RunAsync(
            Tool.Find(Name) ?? throw new MissingToolException(Name, InstallCommand),
            [
                "--connections", request.Connections.ToString(CultureInfo.InvariantCulture),
                "--duration", FormattableString.Invariant($"{request.Seconds}s"),
                "--latencies", "--insecure", "--print", "result", "--format", "json",
                request.Url,
            ],
            cancellationToken);

        // It uses as many processors as there are.
        return Parse(output.Text).From(output, Environment.ProcessorCount);
    }

    internal static LoadResult Parse(string text)
    {
        using JsonDocument document = ParseJson(text);
        JsonElement result = document.RootElement.GetProperty("result");
        long Count(string name) => result.GetProperty(name).GetInt64();

        long failed = Count("req1xx") + Count("req3xx") + Count("req4xx") + Count("req5xx") + Count("others");
        if (failed > 0)
        {
            throw new LoadException(FormattableString.Invariant($"bombardier: {failed} requests failed: {text.Trim()}"));
        }

        var latencies = new Dictionary<Metric, double>();
        if (result.TryGetProperty("latency", out JsonElement latency))
        {
            latencies[Metrics.Max] = latency.GetProperty("max").GetDouble();
            if (latency.TryGetProperty("percentiles", out JsonElement percentiles))
            {
                foreach ((string key, Metric metric) in Percentiles)
                {
                    latencies[metric] = percentiles.GetProperty(key).GetDouble();
                }
            }
        }

        return new LoadResult
        {
            Seconds = result.GetProperty("timeTakenSeconds").GetDouble(),
            Requests = Count("req2xx"),
            Bytes = Count("bytesRead"),
            Latencies = latencies,
        };
    }

    private static JsonDocument ParseJson(string text)
    {
        try
        {
            return JsonDocument.Parse(text);
        }
        catch (JsonException e)
        {
            throw new LoadException($"bombardier printed no JSON ({e.Message}): {text.Trim()}");
        }
    }
}
