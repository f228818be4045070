using System.Globalization;
using KestrelNetpoll.Perf.Compare.Load;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>
/// What the servers of a run get of the machine: some of its processors, or a quota of their time, which all of them share. A quota is that
/// of a cgroup, which is removed in the end: all servers must have ended by then.
/// </summary>
internal sealed class ServerLimits : IDisposable
{
    private const string Pinner = "taskset";
    private const string InstallPinner = "apt-get install util-linux";
    private const string Root = "/sys/fs/cgroup";
    private const string Shell = "/bin/sh";
    private const int Period = 100_000;
    private const int Percent = 100;
    private const int RemovalAttempts = 50;
    private static readonly TimeSpan RemovalPause = TimeSpan.FromMilliseconds(20);

    // It moves itself into the group, and becomes the server.
    private static readonly string[] Enter = [Shell, "-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""];

    private readonly string? _group;

    private ServerLimits(string? group, IReadOnlyList<string> launcher)
    {
        _group = group;
        Launcher = launcher;
    }

    /// <summary>Gets what stands in front of a server's command line.</summary>
    internal IReadOnlyList<string> Launcher { get; }

    /// <param name="processors">The processors that they may use; null: all.</param>
    /// <param name="quota">The percent of one processor that they may use; null: no quota.</param>
    /// <exception cref="FormatException">The tool for it is missing.</exception>
    /// <exception cref="IOException">There cannot be a cgroup with a quota; the message is for the user.</exception>
    internal static ServerLimits Create(ProcessorList? processors, int? quota)
    {
        string[] pinned = processors is null
            ? []
            : [Tool.Find(Pinner) ?? throw new FormatException($"{Pinner} is missing: {InstallPinner}"), "-c", processors.Text];
        string? group = quota is { } percent ? MakeGroup(percent) : null;
        return new ServerLimits(group, group is null ? pinned : [.. Enter, group, .. pinned]);
    }

    /// <summary>How often the kernel has stopped the servers because their quota was used up; null: there is none.</summary>
    internal long? ReadStops() => _group is null ? null : ParseStops(File.ReadLines(Path.Combine(_group, "cpu.stat")));

    internal static long ParseStops(IEnumerable<string> lines) => lines
        .Select(static line => line.Split(' '))
        .Where(static words => words[0] == "nr_throttled")
        .Select(static words => long.Parse(words[1], CultureInfo.InvariantCulture))
        .Single();

    public void Dispose()
    {
        for (int attempt = 1; _group is not null && Directory.Exists(_group); attempt++)
        {
            try
            {
                Directory.Delete(_group);
            }
            catch (IOException) when (attempt < RemovalAttempts)
            {
                // What was killed is still on its way out.
                Thread.Sleep(RemovalPause);
            }
        }
    }

    private static string MakeGroup(int percent)
    {
        bool isUnified = File.Exists(Path.Combine(Root, "cgroup.controllers"));
        string group = Path.Combine(
            Root, isUnified ? "" : "cpu", FormattableString.Invariant($"netpoll-compare-{Environment.ProcessId}"));
        string quota = (percent * (Period / Percent)).ToString(CultureInfo.InvariantCulture);
        string period = Period.ToString(CultureInfo.InvariantCulture);
        try
        {
            if (isUnified)
            {
                File.WriteAllText(Path.Combine(Root, "cgroup.subtree_control"), "+cpu");
            }

            Directory.CreateDirectory(group);
            if (isUnified)
            {
                File.WriteAllText(Path.Combine(group, "cpu.max"), $"{quota} {period}");
            }
            else
            {
                File.WriteAllText(Path.Combine(group, "cpu.cfs_period_us"), period);
                File.WriteAllText(Path.Combine(group, "cpu.cfs_quota_us"), quota);
            }

            return group;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Directory.Exists(group))
            {
                Directory.Delete(group);
            }

            throw new IOException($"A cgroup with a quota needs root, and the controller of processors: {e.Message}", e);
        }
    }
}
