using System.Diagnostics;

namespace KestrelNetpoll.Transport.Tests.Protocols;

internal sealed record ToolOutput(string Text, string Errors);

/// <summary>Runs programs that may or may not be installed.</summary>
internal static class CommandLineTool
{
    /// <summary>Skips the test that needs a program which is not here.</summary>
    internal static void Require(string program, string reason) =>
        Assert.SkipUnless(
            (Environment.GetEnvironmentVariable("PATH") ?? "")
                .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
                .Any(folder => File.Exists(Path.Combine(folder, program))),
            reason);

    internal static async Task<ToolOutput> RunAsync(string program, IEnumerable<string> arguments, byte[]? input = null)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            if (input is not null)
            {
                await process.StandardInput.BaseStream.WriteAsync(input).InTime();
            }

            process.StandardInput.Close();
            await process.WaitForExitAsync().InTime();
            Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}: {await errors}");
            return new ToolOutput(await output, await errors);
        }
        finally
        {
            // Nothing stays behind, whatever the test did.
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
