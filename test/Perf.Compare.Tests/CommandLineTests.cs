using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class CommandLineTests
{
    [Fact]
    public void Defaults()
    {
        CompareOptions options = Parse();

        Assert.Empty(options.Scenarios);
        Assert.Equal((5, 3.0, 10_000), (options.Passes, options.Seconds, options.IdleConnections));
        Assert.Equal(["sockets", "netpoll"], options.Legs.Select(static leg => leg.Name));
        Assert.False(options.IsAttached);
    }

    [Fact]
    public void A_quick_run_is_short_unless_something_else_is_said()
    {
        Assert.Equal((2, 1.0, 1_000), (Parse("--quick").Passes, Parse("--quick").Seconds, Parse("--quick").IdleConnections));
        Assert.Equal(7, Parse("--quick", "--passes", "7").Passes);
    }

    [Fact]
    public void The_options_of_netpoll_are_for_netpoll()
    {
        CompareOptions options = Parse("--legs", "netpoll,sockets-inline", "--scheduling", "ThreadPool", "--workers", "3");

        Assert.Equal(["--transport", "netpoll", "--scheduling", "ThreadPool", "--workers", "3"], options.Legs[0].Arguments);
        Assert.Equal(["--transport", "sockets-inline"], options.Legs[1].Arguments);
    }

    [Fact]
    public void Both_schedulings_are_legs_of_one_run()
    {
        CompareOptions options = Parse("--legs", "sockets,netpoll,netpoll-workersonly", "--workers", "3");

        Assert.Equal(["sockets", "netpoll", "netpoll"], options.Legs.Select(static leg => leg.Transport));
        Assert.Equal(["--transport", "netpoll", "--workers", "3"], options.Legs[1].Arguments);
        Assert.Equal(["--transport", "netpoll", "--scheduling", "WorkersOnly", "--workers", "3"], options.Legs[2].Arguments);
    }

    [Fact]
    public void Each_scheduling_is_a_leg_of_its_own_whatever_that_of_netpoll_is()
    {
        CompareOptions options = Parse("--legs", "netpoll,netpoll-threadpool", "--scheduling", "WorkersOnly");

        Assert.Equal(["--transport", "netpoll", "--scheduling", "WorkersOnly"], options.Legs[0].Arguments);
        Assert.Equal(["--transport", "netpoll", "--scheduling", "ThreadPool"], options.Legs[1].Arguments);
    }

    [Fact]
    public void A_path_is_measured_with_as_many_connections_as_are_said()
    {
        Assert.Equal((0, 64), (Parse().Paths.Count, Parse().Connections));

        CompareOptions options = Parse("--path", "/awaits,/spin/1", "--path", "/awaits", "--connections", "2");

        Assert.Equal(["/awaits", "/spin/1"], options.Paths);
        Assert.Equal(2, options.Connections);
    }

    [Fact]
    public void Servers_may_be_limited()
    {
        Assert.Equal((null, null, 0), (Parse().ServerProcessors, Parse().CpuQuota, Parse().Hogs));

        CompareOptions options = Parse("--server-processors", "0,2-3", "--cpu-quota", "75", "--hogs", "2");

        Assert.Equal([0, 2, 3], options.ServerProcessors!.Numbers.Order());
        Assert.Equal((75, 2), (options.CpuQuota, options.Hogs));
    }

    [Fact]
    public void Servers_that_run_already_cannot_be_limited()
    {
        Assert.Throws<FormatException>(() => Parse("--server", "sockets=http://127.0.0.1:1", "--cpu-quota", "75"));
        Assert.Throws<FormatException>(() => Parse("--server", "sockets=http://127.0.0.1:1", "--server-processors", "0"));
    }

    [Fact]
    public void Servers_that_run_already_are_the_legs()
    {
        CompareOptions options = Parse("--server", "sockets=http://127.0.0.1:1", "--server", "netpoll=http://127.0.0.1:2,https=3");

        Assert.True(options.IsAttached);
        Assert.Equal([Leg.Sockets, Leg.Netpoll], options.Legs.Select(static leg => leg.Name));
        Assert.Equal(3, options.Legs[1].Attached?.Ports["https"]);
    }

    [Theory]
    [InlineData("--legs", "netpoll,other")]
    [InlineData("--legs", "netpoll,netpoll")]
    [InlineData("--passes", "0")]
    [InlineData("--seconds", "0.1")]
    [InlineData("--path", "awaits")]
    [InlineData("--connections", "0")]
    [InlineData("--server-processors", "2-1")]
    [InlineData("--server-processors", "0,")]
    [InlineData("--server-processors", "0-1-2")]
    [InlineData("--server-processors", "0-9999999")]
    [InlineData("--cpu-quota", "0")]
    [InlineData("--hogs", "-1")]
    public void Nonsense_is_refused(string option, string value)
    {
        Assert.Throws<FormatException>(() => Parse(option, value));
    }

    internal static CompareOptions Parse(params string[] arguments)
    {
        CompareOptions? options = null;
        new CommandLine().Create(
            (parsed, _) =>
            {
                options = parsed;
                return Task.FromResult(0);
            },
            static (_, _) => 1,
            static () => 1)
            .Parse(arguments)
            .Invoke(new System.CommandLine.InvocationConfiguration { EnableDefaultExceptionHandler = false });
        return options!;
    }
}
