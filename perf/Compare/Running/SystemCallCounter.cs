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
    private const string Stopper = "timeout";

    private static readonly string[] Senders = ["send", "sendto", "sendmsg", "sendmmsg"];

    // strace looks at all threads before it counts, and goes on a little after the load.
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(1);

    internal static async Task<PassFigures> CountPerRequestAsync(
        int pid, LoadScenario scenario, ScenarioContext context, Leg leg, MeasuredServer server, CancellationToken cancellationToken)
    {
        if (Tool.Find(Tracer) is null || Tool.Find(Stopper) is not { } stopper)
        {
            throw new MissingToolException(Tracer, InstallTracer);
        }

        string report = Path.Combine(context.Directory, Path.GetRandomFileName());
        double seconds = context.Seconds + (2 * Margin.TotalSeconds);
        Task<ToolOutput> tracing = Tool.RunAsync(
            stopper,
            [
                "--preserve-status", "--signal=INT", seconds.ToString(CultureInfo.InvariantCulture),
                Tracer, "-f", "-c", "-q", "-o", report, "-p", pid.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        await Task.Delay(Margin, cancellationToken);
        long requests = await scenario.CountRequestsAsync(context, server, cancellationToken);
        try
        {
            await tracing;
        }
        catch (LoadException)
        {
            // Ended by the signal, as it should.
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
