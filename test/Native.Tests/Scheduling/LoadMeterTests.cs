using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>What <see cref="LoadMeter"/> makes of times and counts that the test gives it.</summary>
public sealed class LoadMeterTests
{
    private const long Millisecond = MonotonicClock.NanosecondsPerMillisecond;
    private const long Microsecond = Millisecond / 1000;

    private readonly WorkerCounters _counters = new();
    private readonly LoadMeter _meter;
    private long _now = 1_000 * Millisecond;

    public LoadMeterTests()
    {
        _meter = new LoadMeter(_counters);
        _meter.OnWoken(_now);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(199, true)]
    [InlineData(200, false)]
    [InlineData(5_000, false)]
    public void A_sleep_that_follows_another_quickly_is_frequent(int microseconds, bool expected)
    {
        _meter.OnSleep(_now);
        _now += microseconds * Microsecond;
        Assert.Equal(expected, _meter.OnSleep(_now));
    }

    [Theory]
    [InlineData(100, false)]
    [InlineData(2_000, false)]
    [InlineData(2_001, true)]
    public void A_sleep_is_long_when_it_lasts(int microseconds, bool expected)
    {
        _meter.OnSleep(_now);
        _now += microseconds * Microsecond;
        Assert.Equal(expected, _meter.OnWoken(_now));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(5, true)]
    [InlineData(6, false)]
    public void A_sleep_that_lasts_no_time_is_none(int microseconds, bool expected)
    {
        _meter.OnSleep(_now);
        Assert.Equal(expected, _meter.IsNoSleep(_now + (microseconds * Microsecond)));
    }

    [Fact]
    public void The_time_before_the_first_count_is_nobodys()
    {
        LoadMeter meter = new(_counters);
        meter.OnSleep(_now);
        Assert.False(meter.TurnsAreLong);
    }

    [Fact]
    public void Who_always_finds_more_than_it_takes_needs_help_once_in_a_while()
    {
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < 10; i++)
            {
                _now += LoadMeter.Saturation / 10;
                Assert.False(_meter.OnPolled(_now, full: true));
            }

            _now += Microsecond;
            Assert.True(_meter.OnPolled(_now, full: true));
        }
    }

    [Fact]
    public void Who_gets_done_now_and_then_needs_no_help()
    {
        for (int i = 0; i < 100; i++)
        {
            _now += LoadMeter.Saturation * 9 / 10;
            Assert.False(_meter.OnPolled(_now, full: i % 2 == 0));
        }
    }

    [Fact]
    public void A_sleep_is_no_time_without_a_pause()
    {
        for (int i = 0; i < 10; i++)
        {
            _now += LoadMeter.Saturation / 2;
            Assert.False(_meter.OnPolled(_now, full: true));
            _meter.OnSleep(_now);
            _now += LoadMeter.Saturation * 6 / 10;
            _meter.OnWoken(_now);
        }
    }

    [Theory]
    [InlineData(10, false)]
    [InlineData(49, false)]
    [InlineData(51, true)]
    [InlineData(100_000, true)]
    public void Turns_are_long_by_the_average_of_a_window(int microseconds, bool expected)
    {
        Run(300, microseconds);
        Assert.Equal(expected, _meter.TurnsAreLong);

        // And it is forgotten as soon as a window shows otherwise.
        Run(600, 5);
        Assert.False(_meter.TurnsAreLong);
    }

    [Fact]
    public void A_turn_that_was_preempted_is_not_an_app_that_computes()
    {
        for (int i = 0; i < 10; i++)
        {
            Run(250, 10);
            Run(1, 3_000);
            Assert.False(_meter.TurnsAreLong);
        }
    }

    /// <summary>A container whose CPU quota is used up is stopped for the rest of each 100 ms, in the middle of whatever it does.</summary>
    [Theory]
    [InlineData(15)]
    [InlineData(40)]
    [InlineData(60)]
    public void A_process_that_the_kernel_stops_is_not_an_app_that_computes(int milliseconds)
    {
        for (int i = 0; i < 20; i++)
        {
            Run(60, 8);
            Run(1, milliseconds * 1_000);
            Run(60, 8);
            Assert.False(_meter.TurnsAreLong);
        }
    }

    [Fact]
    public void Sleep_is_not_counted()
    {
        for (int i = 0; i < 1_000; i++)
        {
            Run(1, 10);
            _meter.OnSleep(_now);
            _now += Millisecond;
            _meter.OnWoken(_now);
        }

        Assert.False(_meter.TurnsAreLong);
    }

    private void Run(int turns, int microseconds)
    {
        for (int i = 0; i < turns; i++)
        {
            _counters.Turns++;
            _now += microseconds * Microsecond;
            _meter.OnPolled(_now, full: false);
        }
    }
}
