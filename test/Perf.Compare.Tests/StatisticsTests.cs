using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Statistics;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class StatisticsTests
{
    [Fact]
    public void A_summary_has_the_median_and_the_range()
    {
        Assert.Equal(new Summary(3, 1, 9, 5), Summary.Of([9, 1, 3, 4, 2]));
        Assert.Equal(new Summary(2.5, 1, 4, 4), Summary.Of([4, 3, 2, 1]));
        Assert.Equal(new Summary(7, 7, 7, 1), Summary.Of([7]));
    }

    [Fact]
    public void Without_figures_there_is_no_summary()
    {
        Assert.Null(Summary.Of([]));
        Assert.Null(Summary.Of([double.NaN, double.PositiveInfinity]));
        Assert.Null(Summary.Of(null, Metrics.Rate));
    }

    [Theory]
    [InlineData("rate", 20, 30, Difference.Better)]
    [InlineData("rate", 1, 5, Difference.Worse)]
    [InlineData("cpu", 20, 30, Difference.Worse)]
    [InlineData("cpu", 1, 5, Difference.Better)]
    [InlineData("cpu", 1, 10, Difference.None)]
    [InlineData("cpu", 12, 30, Difference.None)]
    [InlineData("cpu", 11, 11.5, Difference.None)]
    [InlineData("cpu", 5, 20, Difference.None)]
    public void A_difference_is_real_only_where_the_ranges_are_apart(string metric, double min, double max, object expected)
    {
        var baseline = new Summary(11, 10, 12, 5);
        var subject = new Summary((min + max) / 2, min, max, 5);

        var comparison = Comparison.Of(Metrics.Get(metric), subject, baseline, isLimited: false);

        Assert.Equal(expected, comparison.Difference);
        Assert.Equal(subject.Median / baseline.Median, comparison.Ratio);
    }

    [Fact]
    public void Two_passes_are_too_few_to_call_a_difference_real()
    {
        var comparison = Comparison.Of(Metrics.Cpu, new Summary(1, 1, 1, 2), new Summary(2, 2, 2, 5), isLimited: false);

        Assert.Equal(Difference.TooFewPasses, comparison.Difference);
    }

    [Fact]
    public void What_the_load_generator_limits_is_not_compared()
    {
        LegResult limited = Results.Leg("netpoll", isLimited: true, ("rate", [30, 31, 32]), ("cpu", [1, 1, 1]));
        LegResult free = Results.Leg("sockets", isLimited: false, ("rate", [10, 11, 12]), ("cpu", [2, 2, 2]));

        Assert.Equal(Difference.GeneratorLimited, Comparison.Of(Metrics.Rate, limited, free)?.Difference);
        Assert.Equal(Difference.GeneratorLimited, Comparison.Of(Metrics.Rate, free, limited)?.Difference);

        // What a request costs the server does not depend on how many there are.
        Assert.Equal(Difference.Better, Comparison.Of(Metrics.Cpu, limited, free)?.Difference);
    }

    [Fact]
    public void A_ratio_to_nothing_is_none()
    {
        Assert.Null(Comparison.Of(Metrics.Cpu, new Summary(1, 1, 1, 5), new Summary(0, 0, 0, 5), isLimited: false).Ratio);
    }

    [Theory]
    [InlineData(0.99, 1, 0.5, 2, true, true)]
    [InlineData(0.99, 1, 1.0, 2, true, false)]
    [InlineData(0.8, 1, 0.5, 2, true, false)]
    [InlineData(1.97, 2, 1.0, 4, true, true)]
    [InlineData(1.97, 2, 1.9, 2, false, false)]
    [InlineData(0.99, 1, 1.0, 2, false, true)]
    public void The_generator_is_the_limit_when_it_has_no_time_left_and_the_server_has(
        double generatorCores, int threads, double serverCores, int processors, bool isShared, bool expected)
    {
        Assert.Equal(expected, GeneratorLimit.Applies(generatorCores, threads, serverCores, processors, isShared));
    }
}
