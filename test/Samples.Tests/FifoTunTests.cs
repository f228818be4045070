using System.Diagnostics;
using System.Globalization;

namespace KestrelNetpoll.Samples.Tests;

public sealed class FifoTunTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fifo-tun-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task What_goes_into_one_fifo_comes_from_the_other_and_both_go_in_the_end()
    {
        await using SampleProcess sample = SampleProcess.StartByShell(
            "exec \"$@\"", new Dictionary<string, string?> { ["TMPDIR"] = _folder.FullName }, "FifoTun");
        string output = await sample.FindAsync("^  cat ([^ >]+)$");
        string input = await sample.FindAsync("^  cat > (.+)$");

        for (int i = 0; i < 2; i++)
        {
            // It ends when the sample has closed the other end.
            Task<string> echo = Task.Run(() => File.ReadAllText(output));
            await Task.Run(() => File.WriteAllText(input, $"hello {i}\n")).InTime();
            Assert.Equal($"hello {i}\n", await echo.InTime());
        }

        Assert.Equal(0, await sample.StopAsync());
        Assert.StartsWith(_folder.FullName, output, StringComparison.Ordinal);
        Assert.Empty(_folder.EnumerateFileSystemInfos());
    }

    [Fact]
    public async Task Pings_are_answered_in_a_network_of_its_own()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "A network namespace needs root.");
        Assert.SkipUnless(File.Exists("/dev/net/tun"), "There is no /dev/net/tun here.");
        string[] tools = ["ip", "nsenter", "ping"];
        Assert.SkipUnless(Array.TrueForAll(tools, IsInstalled), $"Not all of {string.Join(", ", tools)} are installed.");

        await using SampleProcess sample = SampleProcess.Start("FifoTun", "--tun");
        await sample.FindAsync("^(Device netpoll0 is up|.*Operation not permitted.*)");
        Assert.SkipWhen(sample.Output.Contains("Operation not permitted", StringComparison.Ordinal), $"Not for this root: {sample.Output}");
        using Process ping = Process.Start(new ProcessStartInfo(
            "nsenter",
            ["--net", "--target", sample.Id.ToString(CultureInfo.InvariantCulture), "ping", "-c", "1", "-W", "10", "-s", "1000", "192.0.2.77"])
        {
            RedirectStandardOutput = true,
        })!;
        string said = await ping.StandardOutput.ReadToEndAsync().InTime();
        await ping.WaitForExitAsync().InTime();

        Assert.True(ping.ExitCode == 0, said);
        await sample.FindAsync("^192.0.2.1 has asked 192.0.2.77: ping 1, 1028 bytes$");
        Assert.False(Directory.Exists("/sys/class/net/netpoll0"));
        Assert.Equal(0, await sample.StopAsync());
    }

    private static bool IsInstalled(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Any(folder => File.Exists(Path.Combine(folder, tool)));
}
