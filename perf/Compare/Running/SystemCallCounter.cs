using System.Globalization;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>Counts a server's system calls with strace while a load runs.</summary>
internal static class SystemCallCounter
{
    private const string Tracer = "strace";
    private const string InstallTracer = "apt-get install strace";
    private const string Stopper = "timeout";

    // strace looks at all threads before it counts, and goes on a little after the load.
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(1);

    internal static async Task<double> CountPerRequestAsync(
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

        return Parse(await File.ReadAllTextAsync(report, cancellationToken), leg.Name) / (double)requests;
    }

    /// <summary>The total of the table that strace writes.</summary>
    internal static long Parse(string report, string leg)
    {
        string[]? total = report.Split('\n')
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .LastOrDefault(static words => words.Length > 0 && words[^1] == "total");

        // "% time, seconds, usecs/call, calls[, errors], total"; the average is left out by some versions.
        if (total is null)
        {
            throw new LoadException($"strace has counted nothing of {leg}.");
        }

        string[] counts = [.. total[..^1].Where(static word => word.All(char.IsAsciiDigit))];
        return counts.Select(static word => long.Parse(word, CultureInfo.InvariantCulture)).Max();
    }
}
