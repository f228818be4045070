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
    public void A_bound_may_be_for_what_is_added_to_the_other_leg()
    {
        // 410 µs and 510 µs.
        var target = new Target("plaintext-64", Metrics.P50, -150) { Bound = Bound.Difference };

        Assert.Equal("≤ sockets + -0.15 ms", target.Describe());
        Assert.Equal("-0.10 ms", TargetVerdict.Judge(target, Results.Run())!.DescribeMeasured());
        Assert.Equal("missed by 0.05 ms", Judge(target));
        Assert.Equal("met", Judge(target with { Limit = 100 }));
    }

    [Fact]
    public void A_bound_may_be_for_the_figure_itself()
    {
        var target = new Target("plaintext-64", Metrics.Rate, 1450) { Bound = Bound.Value };

        Assert.Equal("≥ 1,450 /s", target.Describe());
        Assert.Equal("1,600 /s", TargetVerdict.Judge(target, Results.Run())!.DescribeMeasured());
        Assert.Equal("met", Judge(target));
        Assert.Equal("met (ranges overlap)", Judge(target with { Limit = 1550 }));
        Assert.Equal("missed by 20 %", Judge(target with { Limit = 2000 }));
    }

    [Fact]
    public void A_bound_may_be_for_another_leg()
    {
        Assert.Equal("missed by 100 %", Judge(new Target("plaintext-64", Metrics.Cpu, 1, "netpoll") { Subject = "sockets" }));
    }

    [Fact]
    public void There_is_no_verdict_on_what_was_not_measured()
    {
        RunResult run = Results.Run();

        Assert.Null(TargetVerdict.Judge(new Target("json", Metrics.Cpu, 1), run));
        Assert.Null(TargetVerdict.Judge(new Target("unix", Metrics.Cpu, 1), run));
        Assert.Null(TargetVerdict.Judge(new Target("plaintext-64", Metrics.Cpu, 1, "c-epoll"), run));
        Assert.Null(TargetVerdict.Judge(new Target("plaintext-64", Metrics.Cpu, 1) { Subject = "netpoll-workersonly" }, run));
        Assert.Single(TargetVerdict.Of([new Target("json", Metrics.Cpu, 1), new Target("plaintext-64", Metrics.Cpu, 1)], run));
    }

    [Fact]
    public void Every_target_is_about_a_scenario_that_exists()
    {
        Assert.All(Targets.All, static target => Assert.Contains(ScenarioCatalogue.All, scenario => scenario.Name == target.Scenario));
    }

    private static string Judge(Target target) => TargetVerdict.Judge(target, Results.Run())!.Describe();
}
