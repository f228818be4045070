using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class MixedLoadTests
{
    private static readonly LoadResult Kept = new()
    {
        Seconds = 2,
        Requests = 1000,
        Bytes = 9,
        GeneratorCores = 0.5,
        Latencies = new Dictionary<Metric, double> { [Metrics.P99] = 300 },
    };

    private static readonly LoadResult Other = Kept with
    {
        Requests = 200,
        Latencies = new Dictionary<Metric, double> { [Metrics.P99] = 7000 },
    };

    [Fact]
    public void All_answers_count_and_the_latencies_are_those_of_the_first_kind()
    {
        LoadResult sum = MixedScenario.Sum([Kept, Other, Other], cpuSeconds: 1.6);

        Assert.Equal(1400, sum.Requests);
        Assert.Equal(300, sum.Latencies[Metrics.P99]);
        Assert.Equal((0.5, 0.3), (sum.GeneratorCores, Math.Round(sum.BesideCores, 6)));
    }

    [Fact]
    public void A_kind_without_an_answer_measures_nothing()
    {
        Assert.Throws<LoadException>(() => MixedScenario.Sum([Kept, Other with { Requests = 0 }], cpuSeconds: 1));
    }
}
