using System.Diagnostics;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Models;

/// <summary>
/// Runs the model checker over one of test/Models: spin writes a verifier in C, the compiler makes it a program, and that visits every
/// state. Each run has a directory of its own.
/// </summary>
internal static class Spin
{
    // Far more than any of the models needs; a model that grows out of it is to be made smaller.
    private const string MegabytesOfMemory = "-DMEMLIM=1024";
    private const string LongestPath = "-m100000";

    // So many places for visited states to begin with; it grows. The default, 2^24, takes longer to clear than small models take.
    private const string SmallTable = "-w18";
    private const string Table = "-w21";

    // Most runs end after a few states, and compiling is what takes long: not optimized, and with a quick compiler, if it is here.
    private static readonly string Compiler = IsOnPath("tcc") ? "tcc" : "cc";

    // Seconds, when nothing else runs; visiting states is all work and no waiting, so a busy machine is felt more than elsewhere.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    /// <summary>Skips the test where the model checker, or the C compiler that it needs, is not here.</summary>
    internal static void Require()
    {
        Assert.SkipUnless(IsOnPath("spin"), "The model checker spin is not installed (Debian package spin).");
        Assert.SkipUnless(IsOnPath("cc"), "The C compiler cc, which the model checker spin needs, is not installed.");
    }

    /// <summary>Every state was visited, and each keeps what the model promises.</summary>
    internal static async Task AssertHoldsAsync(string model, params string[] defines)
    {
        using TemporaryDirectory directory = new();
        string report = await VerifyAsync(directory, model, defines, LongestPath, Table);

        if (!report.Contains("errors: 0", StringComparison.Ordinal))
        {
            string path = await RunAsync(directory, "spin", [.. Flags(defines), "-t", "-p", "-g", "-l", model]);
            Assert.Fail($"{report}\nHow it gets there:\n{path}");
        }

        Assert.DoesNotContain("max search depth too small", report, StringComparison.Ordinal);
        Assert.DoesNotContain("Search not completed", report, StringComparison.Ordinal);
    }

    /// <summary>The mistake is caught, by the property that is meant to: otherwise the model would prove less than it seems to.</summary>
    internal static async Task AssertCatchesAsync(string model, string violated, params string[] defines)
    {
        using TemporaryDirectory directory = new();
        string report = await VerifyAsync(directory, model, defines, LongestPath, SmallTable);

        string? found = report.Split('\n').FirstOrDefault(line => line.StartsWith("pan:1:", StringComparison.Ordinal));
        Assert.True(found is not null, $"Nothing was found.\n{report}");
        Assert.Contains(violated, found, StringComparison.Ordinal);
    }

    private static async Task<string> VerifyAsync(TemporaryDirectory directory, string model, string[] defines, params string[] limits)
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Models", model), directory.PathOf(model));
        await RunAsync(directory, "spin", [.. Flags(defines), "-a", model]);

        // SAFETY: assertions and deadlocks, no cycles.
        await RunAsync(directory, Compiler, ["-O0", "-w", "-DSAFETY", MegabytesOfMemory, "-o", "pan", "pan.c"]);
        return await RunAsync(directory, directory.PathOf("pan"), limits);
    }

    private static IEnumerable<string> Flags(string[] defines) => defines.Select(define => $"-D{define}");

    private static async Task<string> RunAsync(TemporaryDirectory directory, string program, string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = directory.PathOf(""),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(Limit);
            Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} failed: {await output}{await errors}");
            return await output;
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

    private static bool IsOnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Any(folder => File.Exists(Path.Combine(folder, program)));
}
