using KestrelNetpoll.Perf.Compare.Running;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class MachineTests
{
    private const string Quiet = "some avg10=0.40 avg60=0.30 avg300=0.20 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
    private const string Pressed = "some avg10=35.20 avg60=0.30 avg300=0.20 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";

    [Fact]
    public void A_busy_machine_is_noticed()
    {
        Assert.Null(BusyMachine.Describe("0.12 0.50 0.60 1/300 77", Quiet, processors: 2));
        Assert.Null(BusyMachine.Describe("0.12 0.50 0.60 1/300 77", pressure: "", processors: 2));
        Assert.Equal(
            "the machine was busy before the start: load average 3.10 on 2 processors, 0.4 % of the time something waited for one",
            BusyMachine.Describe("3.10 0.50 0.60 1/300 77", Quiet, processors: 2));
        Assert.Contains("35.2 %", BusyMachine.Describe("0.12 0.50 0.60 1/300 77", Pressed, processors: 2), StringComparison.Ordinal);
    }

    [Fact]
    public void The_machine_has_the_processors_that_this_process_may_use_at_least()
    {
        Assert.InRange(Machine.CountProcessors(), Environment.ProcessorCount, int.MaxValue);
    }

    [Fact]
    public void Stolen_time_is_noticed()
    {
        StolenTime before = StolenTime.Parse("cpu  100 0 50 800 0 0 0 50 0 0");

        Assert.Equal(new StolenTime(50, 1000), before);
        Assert.Null(StolenTime.Parse("cpu  200 0 50 1695 0 0 0 55 9 9").Since(before));
        Assert.Equal(
            "10 % of the processors' time was taken by other guests (steal)",
            StolenTime.Parse("cpu  200 0 50 1600 0 0 0 150 9 9").Since(before));
    }
}
