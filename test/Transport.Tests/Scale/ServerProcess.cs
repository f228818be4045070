using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>The sample as a process of its own, with as many descriptors as it is given.</summary>
internal sealed partial class ServerProcess : IDisposable
{
    // What /proc counts in, on every architecture that .NET runs on.
    private const double TicksPerSecond = 100;

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();

    private ServerProcess(Process process) => _process = process;

    internal IPEndPoint EndPoint { get; private set; } = new(IPAddress.None, 0);

    internal bool HasExited => _process.HasExited;

    /// <summary>All that it has printed, on both streams.</summary>
    internal IReadOnlyCollection<string> Lines => _lines;

    internal string Output => string.Join('\n', _lines);

    /// <summary>The sample, for the dotnet host.</summary>
    internal static string Dll => Path.Combine(AppContext.BaseDirectory, "Hello.dll");

    internal static async Task<ServerProcess> StartAsync(int descriptorLimit, string? preload = null, LimitedGroup? group = null)
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "There is no /bin/sh here.");
        string? dotnet = FindDotnet();
        Assert.SkipUnless(dotnet is not null, "The dotnet host is not beside the runtime of this process.");

        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments =
        [
            "-c",
            (group is null ? "" : $"echo $$ > '{group.Members}' || exit 1; ")
                + $"ulimit -n {descriptorLimit.ToString(CultureInfo.InvariantCulture)}; exec \"$0\" \"$@\"",
            dotnet!, Dll, "--urls", "http://127.0.0.1:0", "--transport", "netpoll",
        ];
        Array.ForEach(arguments, start.ArgumentList.Add);
        if (preload is not null)
        {
            start.Environment["LD_PRELOAD"] = preload;
        }

        var server = new ServerProcess(new Process { StartInfo = start });
        try
        {
            server._process.OutputDataReceived += (_, line) => server.OnLine(line.Data);
            server._process.ErrorDataReceived += (_, line) => server.OnLine(line.Data);
            server._process.Start();
            server._process.BeginOutputReadLine();
            server._process.BeginErrorReadLine();
            Match? match = null;
            await Patience.UntilAsync(
                () => server.HasExited || (match = server._lines.Select(static line => Listening().Match(line)).FirstOrDefault(static m => m.Success)) is not null,
                "the server listens");
            Assert.True(match is not null, $"The server ended: {server.Output}");
            server.EndPoint = IPEndPoint.Parse(match.Groups[1].Value);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>The share of one processor that it uses, over about <paramref name="window"/>.</summary>
    internal async Task<double> MeasureCpuAsync(TimeSpan window)
    {
        var clock = Stopwatch.StartNew();
        long before = CpuTicks();
        await Task.Delay(window);
        return (CpuTicks() - before) / TicksPerSecond / clock.Elapsed.TotalSeconds;
    }

    public void Dispose()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It was never started, or has ended.
        }

        _process.Dispose();
    }

    internal async Task StopAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().InTime();
    }

    private void OnLine(string? line)
    {
        if (line is not null)
        {
            _lines.Enqueue(line);
        }
    }

    // utime and stime; the name in front of them may contain anything but ends with the last parenthesis.
    private long CpuTicks()
    {
        string stat = File.ReadAllText($"/proc/{_process.Id}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }

    // shared/Microsoft.NETCore.App/<version>/System.Private.CoreLib.dll, below the host.
    internal static string? FindDotnet()
    {
        string path = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../../dotnet"));
        return File.Exists(path) ? path : null;
    }

    [GeneratedRegex(@"^Transport: netpoll .* Listening on http://(\S+)$")]
    private static partial Regex Listening();
}
