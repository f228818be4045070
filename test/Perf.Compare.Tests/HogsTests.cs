using System.Diagnostics;
using KestrelNetpoll.Perf.Compare.Running;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class HogsTests
{
    [Fact]
    public void Programs_compute_until_they_are_told_to_end_whatever_the_terminal_says()
    {
        int[] computing = [];
        using (new Hogs(2))
        {
            Assert.True(SpinWait.SpinUntil(() => (computing = FindOurs()).Length == 2, TimeSpan.FromSeconds(30)));
            using Process interrupt = Process.Start("/bin/sh", ["-c", $"kill -INT {string.Join(' ', computing.Select(Parent))}"]);
            interrupt.WaitForExit();
        }

        Assert.All(computing, static pid => Assert.False(Directory.Exists($"/proc/{pid}")));
    }

    // Others on the machine may have some as well: ours are children of our shells.
    private static int[] FindOurs() =>
    [
        .. Process.GetProcessesByName("yes")
            .Select(static process => process.Id)
            .Where(static pid => Parent(Parent(pid)) == Environment.ProcessId),
    ];

    // 0 for one that is gone.
    private static int Parent(int pid)
    {
        try
        {
            string line = File.ReadLines($"/proc/{pid}/status").First(static line => line.StartsWith("PPid:", StringComparison.Ordinal));
            return int.Parse(line["PPid:".Length..], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            return 0;
        }
    }
}
