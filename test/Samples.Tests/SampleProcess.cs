using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace KestrelNetpoll.Samples.Tests;

/// <summary>A sample, from the folder that it is built into.</summary>
internal sealed partial class SampleProcess : IAsyncDisposable
{
    private const int SIGTERM = 15;

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();

    private SampleProcess(ProcessStartInfo start)
    {
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => OnLine(line.Data);
        _process.ErrorDataReceived += (_, line) => OnLine(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    internal int Id => _process.Id;

    /// <summary>All that it has printed, on both streams.</summary>
    internal string Output => string.Join('\n', _lines);

    internal static SampleProcess Start(string sample, params string[] arguments) =>
        new(new ProcessStartInfo(Dotnet, [DllOf(sample), .. arguments]));

    /// <summary>By a shell, whose script ends with <c>exec "$@"</c>: it is the same process.</summary>
    internal static SampleProcess StartByShell(
        string script, Dictionary<string, string?> environment, string sample, params string[] arguments)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", script, "sh", Dotnet, DllOf(sample), .. arguments]);
        foreach ((string name, string? value) in environment)
        {
            start.Environment[name] = value;
        }

        return new SampleProcess(start);
    }

    /// <summary>Runs it to its end.</summary>
    internal static async Task<(int ExitCode, string Output)> RunAsync(string sample, params string[] arguments)
    {
        await using SampleProcess process = Start(sample, arguments);
        int exitCode = await process.WaitForExitAsync();
        return (exitCode, process.Output);
    }

    /// <summary>Waits for a line that it prints.</summary>
    /// <returns>What the pattern's first group is there.</returns>
    internal async Task<string> FindAsync([StringSyntax("Regex")] string pattern)
    {
        Match? match = null;
        await Patience.UntilAsync(() => (match = Find(pattern)) is not null || _process.HasExited, $"it prints {pattern}", () => Output);
        if (match is null)
        {
            // What it has printed last may be on its way.
            await WaitForExitAsync();
            match = Find(pattern);
        }

        Assert.True(match is not null, $"It has ended: {Output}");
        return match.Groups[1].Value;
    }

    /// <summary>As a service manager does.</summary>
    internal async Task<int> StopAsync()
    {
        Assert.Equal(0, SendSignal(_process.Id, SIGTERM));
        return await WaitForExitAsync();
    }

    /// <summary>Until all that it has printed is in <see cref="Output"/>, too.</summary>
    internal async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync().InTime();
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        // With those that it has started.
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync().InTime();
        _process.Dispose();
    }

    // shared/Microsoft.NETCore.App/<version>/System.Private.CoreLib.dll, below the host.
    private static string Dotnet
    {
        get
        {
            string path = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../../dotnet"));
            Assert.SkipUnless(File.Exists(path), "The dotnet host is not beside the runtime of this process.");
            return path;
        }
    }

    // This program is in test/Samples.Tests/bin/<configuration>/<framework>.
    private static string DllOf(string sample)
    {
        string here = AppContext.BaseDirectory.TrimEnd('/');
        string bin = Path.Combine("bin", Path.GetFileName(Path.GetDirectoryName(here))!, Path.GetFileName(here));
        return Path.Combine(Repository, "samples", sample, bin, $"{sample}.dll");
    }

    internal static string Repository { get; } = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../.."));

    private Match? Find(string pattern) =>
        _lines.Select(line => Regex.Match(line, pattern)).FirstOrDefault(static one => one.Success);

    private void OnLine(string? line)
    {
        if (line is not null)
        {
            _lines.Enqueue(line);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);
}
