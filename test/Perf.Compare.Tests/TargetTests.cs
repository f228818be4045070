using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class TargetTests
{
    [Fact]
    public void A_bound_that_the_medians_reach_is_met()
    {
        Assert.Equal("met", Judge(new Target("plaintext-64", Metrics.Cpu, 0.5)));
        Assert.Equal("met", Judge(new Target("plaintext-64", Metrics.Rate, 1.4)));
        Assert.Equal("met", Judge(new Target("echo", Metrics.Cpu, 1.5, "c-epoll")));
    }

    [Fact]
    public void A_bound_that_is_missed_says_by_how_much()
    {
        Assert.Equal("missed by 25 %", Judge(new Target("plaintext-64", Metrics.Cpu, 0.4)));
        Assert.Equal("missed by 9.1 %", Judge(new Target("plaintext-64", Metrics.Rate, 1.6)));
    }

    [Fact]
    public void A_verdict_on_overlapping_ranges_says_so()
    {
        Assert.Equal("missed by 19 % (ranges overlap)", Judge(new Target("plaintext-64", Metrics.P99, 1)));
    }

    [Fact]
    public void What_was_not_measured_is_named_with_the_reason()
    {
        Assert.Equal("not measured: not in this run", Judge(new Target("json", Metrics.Cpu, 1)));
        Assert.Equal("not measured: cc is missing | install it", Judge(new Target("unix", Metrics.Cpu, 1)));
        Assert.Equal("not measured: no figure of netpoll and c-epoll", Judge(new Target("plaintext-64", Metrics.Cpu, 1, "c-epoll")));
    }

    [Fact]
    public void Every_target_is_about_a_scenario_that_exists()
    {
        Assert.All(Targets.All, static target => Assert.Contains(ScenarioCatalogue.All, scenario => scenario.Name == target.Scenario));
    }

    private static string Judge(Target target) => TargetVerdict.Judge(target, Results.Run()).Describe();
}
