using System.Runtime.InteropServices;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>Says where and from what it was measured.</summary>
internal static class Machine
{
    private const long BytesPerKilobyte = 1024;

    // Also those that this process may not use: a server, or another load, may.
    private const string OnlineFile = "/sys/devices/system/cpu/online";

    private static readonly string[] Tools = ["bombardier", "wrk", "h2load", "cc"];

    internal static MachineReport Describe() => new(
        $"{RuntimeInformation.OSDescription} {RuntimeInformation.OSArchitecture}, Linux {Environment.OSVersion.Version}",
        ReadField("/proc/cpuinfo", "model name") ?? "unknown",
        CountProcessors(),
        long.TryParse(ReadField("/proc/meminfo", "MemTotal")?.Split(' ')[0], out long kilobytes) ? kilobytes * BytesPerKilobyte : 0,
        RuntimeInformation.FrameworkDescription);

    internal static int CountProcessors() => ProcessorList.Parse(File.ReadAllText(OnlineFile).Trim()).Numbers.Count;

    /// <summary>The arguments that say what was measured; where the files go says nothing.</summary>
    internal static string CommandLine()
    {
        string[] arguments = Environment.GetCommandLineArgs()[1..];
        int output = Array.IndexOf(arguments, "--out");
        string[] shown = output < 0 ? arguments : [.. arguments[..output], .. arguments.Skip(output + 2)];
        return string.Join(' ', shown.Select(static argument =>
            argument.Contains('*', StringComparison.Ordinal) ? $"'{argument}'" : argument));
    }

    internal static async Task<string> CommitAsync(CancellationToken cancellationToken)
    {
        // Without git, or outside of a repository, it is unknown; that is all.
        try
        {
            ToolOutput output =
                await Tool.RunAsync("git", ["-C", AppContext.BaseDirectory, "describe", "--always", "--dirty"], cancellationToken);
            return output.Text.Trim();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return "unknown";
        }
    }

    internal static async Task<IReadOnlyDictionary<string, string>> ToolVersionsAsync(CancellationToken cancellationToken)
    {
        var versions = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (string tool in Tools)
        {
            if (await Tool.VersionAsync(tool, cancellationToken) is { } version)
            {
                versions[tool] = version;
            }
        }

        return versions;
    }

    private static string? ReadField(string file, string name) => File.ReadLines(file)
        .Where(line => line.StartsWith(name, StringComparison.Ordinal))
        .Select(static line => line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim())
        .FirstOrDefault();
}
