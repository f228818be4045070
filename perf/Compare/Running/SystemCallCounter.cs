using System.Diagnostics;
using System.Globalization;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>Counts a server's system calls with strace while a load runs.</summary>
internal static class SystemCallCounter
{
    private const string Tracer = "strace";
    private const string InstallTracer = "apt-get install strace";
    private static readonly string[] Senders = ["send", "sendto", "sendmsg", "sendmmsg"];

    internal static async Task<PassFigures> CountPerRequestAsync(
        int pid, LoadScenario scenario, ScenarioContext context, Leg leg, MeasuredServer server, CancellationToken cancellationToken)
    {
        string tracer = Tool.Find(Tracer) ?? throw new MissingToolException(Tracer, InstallTracer);
        string report = Path.Combine(context.Directory, Path.GetRandomFileName());
        using Process tracing = Process.Start(new ProcessStartInfo(
            tracer, ["-f", "-c", "-o", report, "-p", pid.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardError = true,
        })!;
        long requests;
        try
        {
            // It looks at all threads before it counts, and says so; later it tells of each new one.
            string? line = await tracing.StandardError.ReadLineAsync(cancellationToken);
            if (line?.Contains("attached", StringComparison.Ordinal) != true)
            {
                throw new LoadException($"strace does not start: {line}");
            }

            Task<string> rest = tracing.StandardError.ReadToEndAsync(cancellationToken);
            requests = await scenario.CountRequestsAsync(context, server, cancellationToken);
            await Tool.RunAsync("/bin/sh", ["-c", FormattableString.Invariant($"kill -INT {tracing.Id}")], cancellationToken);
            await rest;
            await tracing.WaitForExitAsync(cancellationToken);
        }
        finally
        {
            if (!tracing.HasExited)
            {
                tracing.Kill();
            }
        }

        (long all, long sends) = Parse(await File.ReadAllTextAsync(report, cancellationToken), leg.Name);
        return new PassFigures { [Metrics.SystemCalls] = all / (double)requests, [Metrics.Sends] = sends / (double)requests };
    }

    /// <summary>From the table that strace writes: its total, and the calls that send.</summary>
    internal static (long All, long Sends) Parse(string report, string leg)
    {
        string[][] rows =
        [
            .. report.Split('\n')
                .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .Where(static words => words.Length > 0),
        ];
        return rows.LastOrDefault(static words => words[^1] == "total") is { } total
            ? (Count(total), rows.Where(static words => Senders.Contains(words[^1])).Sum(Count))
            : throw new LoadException($"strace has counted nothing of {leg}.");
    }

    // "% time, seconds, usecs/call, calls[, errors], name"; some versions leave the average out of the total. The largest is the count.
    private static long Count(string[] words) => words[..^1]
        .Where(static word => word.All(char.IsAsciiDigit))
        .Select(static word => long.Parse(word, CultureInfo.InvariantCulture))
        .Max();
}
