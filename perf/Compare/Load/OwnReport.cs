using System.Text.Json;
using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Reads what our own load programs print.</summary>
internal static class OwnReport
{
    private static readonly (string Key, Metric Metric)[] Percentiles =
    [
        ("p50_us", Metrics.P50), ("p75_us", Metrics.P75), ("p90_us", Metrics.P90), ("p99_us", Metrics.P99), ("p99_9_us", Metrics.P999),
        ("max_us", Metrics.Max),
    ];

    internal static JsonElement Parse(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new LoadException($"A load program printed no JSON ({e.Message}): {text.Trim()}");
        }
    }

    internal static LoadResult ReadGroup(JsonElement report, string group, long bytes = 0)
    {
        JsonElement values = report.GetProperty(group);
        return new LoadResult
        {
            Seconds = report.GetProperty("seconds").GetDouble(),
            Requests = values.GetProperty("requests").GetInt64(),
            Bytes = bytes,
            Latencies = ReadLatencies(values),
        };
    }

    // Without a single answer they are null.
    internal static Dictionary<Metric, double> ReadLatencies(JsonElement group) => Percentiles
        .Where(pair => group.TryGetProperty(pair.Key, out JsonElement value) && value.ValueKind == JsonValueKind.Number)
        .ToDictionary(static pair => pair.Metric, pair => group.GetProperty(pair.Key).GetDouble());
}
