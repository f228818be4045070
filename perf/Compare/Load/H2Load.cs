using System.Globalization;
using System.Text.RegularExpressions;
using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>h2load, for HTTP/2. It tells the mean and the maximum of the latencies; the percentiles come from its log.</summary>
internal sealed partial class H2Load : ILoadGenerator
{
    private const double Kilo = 1e3;
    private const double Mega = 1e6;

    public string Name => "h2load";

    public bool IsInstalled => Tool.Find(Name) is not null;

    public string InstallCommand => "apt-get install nghttp2-client";

    public bool CanMake(LoadRequest request) => request is { Protocol: LoadProtocol.Http2, UnixPath: null, UploadBytes: 0 };

    public async Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        int threads = Math.Min(request.Threads, request.Connections);
        using var files = new H2LoadFiles(request.Body);
        ToolOutput output = await Tool.RunAsync(
            Tool.Find(Name) ?? throw new MissingToolException(Name, InstallCommand),
            [
                FormattableString.Invariant($"-t{threads}"),
                FormattableString.Invariant($"-c{request.Connections}"),
                FormattableString.Invariant($"-m{request.Depth}"),
                FormattableString.Invariant($"-D{Math.Ceiling(request.Seconds)}"),
                .. files.Arguments,
                .. request.Headers.SelectMany(static field => new[] { "-H", $"{field.Key}: {field.Value}" }),
                request.Url,
            ],
            cancellationToken);
        LoadResult result = Parse(output.Text, Math.Ceiling(request.Seconds)).From(output, threads);
        return result with { Latencies = new Dictionary<Metric, double>(result.Latencies.Concat(files.ReadLatencies())) };
    }

    /// <param name="text">Its output.</param>
    /// <param name="seconds">How long it was to run: its own figure counts what comes after the end.</param>
    internal static LoadResult Parse(string text, double seconds)
    {
        if (!text.Contains("Application protocol: h2", StringComparison.Ordinal))
        {
            throw new LoadException($"h2load did not speak HTTP/2: {text.Trim()}");
        }

        Match requests = RequestsLine().Match(text);
        if (!requests.Success)
        {
            throw new LoadException($"h2load printed no result: {text.Trim()}");
        }

        long Count(string name) => long.Parse(requests.Groups[name].Value, CultureInfo.InvariantCulture);
        if (Count("failed") + Count("errored") + Count("timeout") > 0)
        {
            throw new LoadException($"h2load: requests failed: {requests.Value}");
        }

        var latencies = new Dictionary<Metric, double>();
        if (TimeLine().Match(text) is { Success: true } time)
        {
            latencies[Metrics.Max] = Microseconds(time.Groups["max"].Value);
        }

        Match traffic = TrafficLine().Match(text);
        return new LoadResult
        {
            Seconds = seconds,
            Requests = Count("succeeded"),
            Bytes = traffic.Success ? long.Parse(traffic.Groups["bytes"].Value, CultureInfo.InvariantCulture) : 0,
            Latencies = latencies,
        };
    }

    // 913us, 1.52ms, 2.10s.
    private static double Microseconds(string text)
    {
        (string number, double scale) = text switch
        {
            _ when text.EndsWith("us", StringComparison.Ordinal) => (text[..^2], 1),
            _ when text.EndsWith("ms", StringComparison.Ordinal) => (text[..^2], Kilo),
            _ => (text.TrimEnd('s'), Mega),
        };
        return double.Parse(number, CultureInfo.InvariantCulture) * scale;
    }

    [GeneratedRegex(
        @"^requests: \d+ total, \d+ started, \d+ done, (?<succeeded>\d+) succeeded, (?<failed>\d+) failed, (?<errored>\d+) errored, (?<timeout>\d+) timeout",
        RegexOptions.Multiline)]
    private static partial Regex RequestsLine();

    [GeneratedRegex(@"^time for request:\s+\S+\s+(?<max>\S+)", RegexOptions.Multiline)]
    private static partial Regex TimeLine();

    [GeneratedRegex(@"^traffic: \S+ \((?<bytes>\d+)\) total", RegexOptions.Multiline)]
    private static partial Regex TrafficLine();
}
