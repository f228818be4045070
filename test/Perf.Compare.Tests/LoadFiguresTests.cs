using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Scenarios;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class LoadFiguresTests
{
    private static readonly ProcessUsage Before = new(
        Pid: 1, "netpoll", UserMicroseconds: 1000, SystemMicroseconds: 2000, VoluntarySwitches: 10, InvoluntarySwitches: 5,
        AllocatedBytes: 100, HeapBytes: 0, ResidentBytes: 0, PeakResidentBytes: 0, Threads: 1, Processors: 2, BootId: "");

    private static readonly ProcessUsage After = Before with
    {
        UserMicroseconds = 501_000,
        SystemMicroseconds = 502_000,
        VoluntarySwitches = 1010,
        InvoluntarySwitches = 1005,
        AllocatedBytes = 200_100,
        PeakResidentBytes = 64_000_000,
    };

    [Fact]
    public void What_was_used_is_divided_by_what_was_done()
    {
        var load = new LoadResult { Seconds = 2, Requests = 100_000, Bytes = 50_000_000, GeneratorCores = 0.5 };

        Sample sample = LoadFigures.Of(load, Before, After, isShared: true).ToSample(pass: 3);

        Assert.Equal(3, sample.Pass);
        Assert.False(sample.GeneratorLimited);
        Assert.Equal(50_000, sample.Values["rate"]);
        Assert.Equal(10, sample.Values["cpu"]);
        Assert.Equal(0.5, sample.Values["serverCores"]);
        Assert.Equal(0.02, sample.Values["switches"]);
        Assert.Equal(2, sample.Values["allocated"]);
        Assert.Equal(100_000, sample.Values["allocationRate"]);
        Assert.Equal(25_000_000, sample.Values["throughput"]);
        Assert.Equal(50_000_000, sample.Values["bytesPerCpuSecond"]);
        Assert.Equal(64_000_000, sample.Values["peakMemory"]);
    }

    [Fact]
    public void What_other_load_takes_is_not_left_to_the_server()
    {
        // The server had half a processor, and the generator no time left.
        var load = new LoadResult { Seconds = 2, Requests = 1, GeneratorCores = 1 };

        Assert.True(LoadFigures.Of(load, Before, After, isShared: true).GeneratorLimited);
        Assert.True(LoadFigures.Of(load with { BesideCores = 0.5 }, Before, After, isShared: false).GeneratorLimited);
        PassFigures figures = LoadFigures.Of(load with { BesideCores = 0.5 }, Before, After, isShared: true);
        Assert.False(figures.GeneratorLimited);
        Assert.Equal(1.5, figures[Metrics.GeneratorCores]);
    }

    [Fact]
    public void Processors_are_shared_on_one_machine_unless_each_has_its_own()
    {
        ProcessUsage server = After with { BootId = "here", AllowedProcessors = "0,2-3" };

        Assert.True(LoadFigures.SharesProcessors(server, "here", "0-1"));
        Assert.True(LoadFigures.SharesProcessors(server with { AllowedProcessors = "" }, "here", "1"));
        Assert.False(LoadFigures.SharesProcessors(server, "here", "1"));
        Assert.False(LoadFigures.SharesProcessors(server, "there", "0-3"));
    }

    [Fact]
    public void Without_an_answer_nothing_was_measured()
    {
        Assert.Throws<LoadException>(() => LoadFigures.Of(new LoadResult { Seconds = 1, Requests = 0 }, Before, After, isShared: true));
    }
}
