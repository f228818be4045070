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
        LoadResult result = Parse(output.Text, Math.Ceiling(request.Seconds), request.AnswerBytes).From(output, threads);
        return result with { Latencies = files.ReadLatencies() };
    }

    /// <param name="text">Its output.</param>
    /// <param name="seconds">How long it was to run: its own figure counts what comes after the end.</param>
    /// <param name="answerBytes">The size of each answer's body; null: any. A failed call of gRPC has the status 200, and none.</param>
    internal static LoadResult Parse(string text, double seconds, int? answerBytes = null)
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

        long Count(string name) => Number(requests, name);
        if (Count("failed") + Count("errored") + Count("timeout") > 0)
        {
            throw new LoadException($"h2load: requests failed: {requests.Value}");
        }

        var latencies = new Dictionary<Metric, double>();
        if (TimeLine().Match(text) is { Success: true } time)
        {
            latencies[Metrics.Max] = Microseconds(time.Groups["max"].Value);
        }

        // Of the last requests of each connection, a part of the answer may have come.
        Match traffic = TrafficLine().Match(text);
        if (answerBytes is { } size && (!traffic.Success || Number(traffic, "data") < Count("succeeded") * size ||
            Number(traffic, "data") > Count("started") * size))
        {
            throw new LoadException($"h2load: not all answers have {size} bytes: {requests.Value}; {traffic.Value}");
        }

        return new LoadResult
        {
            Seconds = seconds,
            Requests = Count("succeeded"),
            Bytes = traffic.Success ? Number(traffic, "bytes") : 0,
            Latencies = latencies,
        };
    }

    private static long Number(Match match, string name) => long.Parse(match.Groups[name].Value, CultureInfo.InvariantCulture);

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
        @"^requests: \d+ total, (?<started>\d+) started, \d+ done, (?<succeeded>\d+) succeeded, "
        + @"(?<failed>\d+) failed, (?<errored>\d+) errored, (?<timeout>\d+) timeout",
        RegexOptions.Multiline)]
    private static partial Regex RequestsLine();

    [GeneratedRegex(@"^time for request:\s+\S+\s+(?<max>\S+)", RegexOptions.Multiline)]
    private static partial Regex TimeLine();

    [GeneratedRegex(@"^traffic: \S+ \((?<bytes>\d+)\) total, .* \((?<data>\d+)\) data", RegexOptions.Multiline)]
    private static partial Regex TrafficLine();
}
