using System.Globalization;
using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>The files of one run of h2load: the body that it posts, and the log in which it writes how long each request took.</summary>
internal sealed class H2LoadFiles : IDisposable
{
    // In memory where there is such a place: a disk would slow the load down.
    private static readonly string Parent = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();

    private readonly string _directory = Path.Combine(Parent, "h2load-" + Path.GetRandomFileName());
    private readonly bool _hasBody;

    internal H2LoadFiles(byte[]? body)
    {
        Directory.CreateDirectory(_directory);
        _hasBody = body is not null;
        if (body is not null)
        {
            File.WriteAllBytes(Body, body);
        }
    }

    internal IReadOnlyList<string> Arguments => [$"--log-file={Log}", .. _hasBody ? new[] { "-d", Body } : []];

    private string Log => Path.Combine(_directory, "log");

    private string Body => Path.Combine(_directory, "body");

    internal IReadOnlyDictionary<Metric, double> ReadLatencies() => ParseLog(File.ReadLines(Log));

    /// <param name="lines">When it began, the status and the microseconds that it took, with tabs between.</param>
    internal static Dictionary<Metric, double> ParseLog(IEnumerable<string> lines) => Percentile.Of(
        lines.Select(static line => double.Parse(line.AsSpan(line.LastIndexOf('\t') + 1), CultureInfo.InvariantCulture)));

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
