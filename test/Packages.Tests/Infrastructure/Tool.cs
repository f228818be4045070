using System.Diagnostics;
using System.Text;

namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>How a program ended that was run to its end.</summary>
internal sealed record ToolResult(string CommandLine, int ExitCode, string Output)
{
    internal IEnumerable<string> Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    internal bool IsSuccess => ExitCode == 0;
}

/// <summary>Programs that a test runs.</summary>
internal static class Tool
{
    // Far beyond what any of them takes; whoever waits longer would wait for ever.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(6);

    /// <summary>The program in the search path, or null.</summary>
    internal static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Where(static folder => folder.Length > 0)
            .Select(folder => Path.Combine(folder, name))
            .FirstOrDefault(File.Exists);

    internal static ProcessStartInfo Describe(
        string program, string folder, IReadOnlyDictionary<string, string?> environment, params ReadOnlySpan<string> arguments)
    {
        ProcessStartInfo start = new(program)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string? value) in environment)
        {
            start.Environment[name] = value;
        }

        return start;
    }

    internal static async Task<ToolResult> RunAsync(ProcessStartInfo start)
    {
        string commandLine = $"{start.FileName} {string.Join(' ', start.ArgumentList)}";
        StringBuilder output = new();
        using Process process = new() { StartInfo = start };
        process.OutputDataReceived += OnLine;
        process.ErrorDataReceived += OnLine;
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        end.CancelAfter(Patience);
        try
        {
            await process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            lock (output)
            {
                throw new TimeoutException($"{commandLine}\ndid not end:\n{output}");
            }
        }

        lock (output)
        {
            return new ToolResult(commandLine, process.ExitCode, output.ToString());
        }

        void OnLine(object sender, DataReceivedEventArgs line)
        {
            lock (output)
            {
                output.Append(line.Data).Append('\n');
            }
        }
    }
}
