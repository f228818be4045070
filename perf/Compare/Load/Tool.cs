using System.Diagnostics;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Runs programs that end by themselves.</summary>
internal static class Tool
{
    private const double MicrosecondsPerSecond = 1e6;

    /// <summary>The full path of a program; null if it is not installed.</summary>
    internal static string? Find(string name) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(directory => Path.Combine(directory, name))
        .FirstOrDefault(File.Exists);

    /// <exception cref="LoadException">It did not end with 0.</exception>
    internal static async Task<ToolOutput> RunAsync(
        string file, IEnumerable<string> arguments, CancellationToken cancellationToken, string workingDirectory = "")
    {
        // Of children that have ended: exact to the microsecond. Where several load generators run at once, each gets what all have used.
        ResourceUsage before = ResourceUsage.OfEndedChildren();
        (int exitCode, string output, string error) = await RunToEndAsync(file, arguments, workingDirectory, cancellationToken);
        ResourceUsage after = ResourceUsage.OfEndedChildren();
        return exitCode == 0
            ? new ToolOutput(output, (after.CpuMicroseconds - before.CpuMicroseconds) / MicrosecondsPerSecond)
            : throw new LoadException($"{Path.GetFileName(file)} failed: {(error + output).Trim()}");
    }

    /// <summary>The first line that it prints when asked for its version, whatever it ends with; null if it is not installed.</summary>
    internal static async Task<string?> VersionAsync(string name, CancellationToken cancellationToken)
    {
        if (Find(name) is not { } file)
        {
            return null;
        }

        (_, string output, string error) = await RunToEndAsync(file, ["--version"], "", cancellationToken);
        return (output + error).Trim().Split('\n')[0].Trim();
    }

    private static async Task<(int ExitCode, string Output, string Error)> RunToEndAsync(
        string file, IEnumerable<string> arguments, string workingDirectory, CancellationToken cancellationToken)
    {
        using Process process = Process.Start(new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = workingDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardInput.Close();
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            Task<string> error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
