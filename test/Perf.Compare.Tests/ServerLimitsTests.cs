using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Servers;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class ServerLimitsTests
{
    [Fact]
    public void Without_limits_nothing_stands_before_the_server()
    {
        using ServerLimits limits = ServerLimits.Create(processors: null, quota: null);

        Assert.Empty(limits.Launcher);
        Assert.Null(limits.ReadStops());
    }

    [Fact]
    public async Task A_server_gets_the_processors_that_are_named()
    {
        Assert.SkipWhen(Tool.Find("taskset") is null, "needs taskset (util-linux)");
        ProcessorList allowed = ProcessorList.Parse(ProcessUsage.ReadAllowedProcessors());
        string last = FormattableString.Invariant($"{allowed.Numbers.Max()}");
        using ServerLimits limits = ServerLimits.Create(ProcessorList.Parse(last), quota: null);

        ToolOutput output = await Tool.RunAsync(
            limits.Launcher[0],
            [.. limits.Launcher.Skip(1), "/bin/sh", "-c", "grep Cpus_allowed_list: /proc/self/status"],
            TestContext.Current.CancellationToken);

        Assert.Equal("Cpus_allowed_list:\t" + last, output.Text.Trim());
    }

    [Fact]
    public async Task A_quota_is_that_of_a_group_that_is_gone_in_the_end()
    {
        ServerLimits limits;
        try
        {
            limits = ServerLimits.Create(processors: null, quota: 50);
        }
        catch (IOException e)
        {
            Assert.Skip("needs root and a cgroup for processors: " + e.Message);
            return;
        }

        string group = limits.Launcher.Single(static word => word.StartsWith("/sys/", StringComparison.Ordinal));
        using (limits)
        {
            ToolOutput output = await Tool.RunAsync(
                limits.Launcher[0],
                [.. limits.Launcher.Skip(1), "/bin/cat", "/proc/self/cgroup"],
                TestContext.Current.CancellationToken);

            Assert.Contains(Path.GetFileName(group), output.Text, StringComparison.Ordinal);
            Assert.NotNull(limits.ReadStops());
            string unified = Path.Combine(group, "cpu.max");
            string quota = File.Exists(unified) ? unified : Path.Combine(group, "cpu.cfs_quota_us");
            Assert.Equal("50000", (await File.ReadAllTextAsync(quota, TestContext.Current.CancellationToken)).Split([' ', '\n'])[0]);
        }

        Assert.False(Directory.Exists(group));
    }

    [Fact]
    public void The_kernel_says_how_often_a_quota_was_used_up()
    {
        Assert.Equal(17, ServerLimits.ParseStops(["nr_periods 40", "nr_throttled 17", "throttled_time 12345"]));
    }
}
