using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class BlockingMixTests
{
    private const string Report = """
        {"seconds": 2.0, "generator_cpu_us_per_fast_request": 7.10, "generator_cores": 0.412,
         "fast": {"requests": 100, "rate": 50.0, "p50_us": 10.0, "p99_us": 20.0, "max_us": 30.0, "unanswered": 1},
         "blocking": {"requests": 400, "rate": 200.0, "p50_us": 100000.0, "p99_us": 100000.0, "max_us": 100000.0, "unanswered": 0},
         "new": {"requests": 40, "rate": 20.0, "p50_us": 11.0, "p99_us": 21.0, "max_us": 31.0, "unanswered": 2}}
        """;

    [Fact]
    public void Figures_of_all_three_kinds_are_read()
    {
        PassFigures figures = BlockingMixScenario.Read(OwnReport.Parse(Report));

        Assert.Equal((50, 20, 200), (figures[Metrics.Rate], figures[Metrics.P99], figures[Metrics.BlockingRate]));
        Assert.Equal((21, 31, 3), (figures[Metrics.NewP99], figures[Metrics.NewMax], figures[Metrics.Unanswered]));
    }

    [Fact]
    public void Streams_that_block_are_those_that_another_program_has_seen()
    {
        var streams = new LoadResult { Seconds = 2, Requests = 3800 };

        Assert.Equal(1900, BlockingMixScenario.Read(OwnReport.Parse(Report), streams)[Metrics.BlockingRate]);
    }
}
