using System.Diagnostics;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Timers;

public sealed class MonotonicClockTests
{
    [Fact]
    public void It_never_runs_backwards_and_is_never_0()
    {
        long last = MonotonicClock.Now;
        Assert.True(last > 0);
        for (int i = 0; i < 10_000; i++)
        {
            long now = MonotonicClock.Now;
            Assert.True(now >= last);
            last = now;
        }
    }

    [Fact]
    public void It_counts_nanoseconds()
    {
        long before = MonotonicClock.Now;
        var clock = Stopwatch.StartNew();
        Thread.Sleep(20);
        long inside = (long)clock.Elapsed.TotalNanoseconds;
        Assert.True(MonotonicClock.Now - before >= inside);
    }

    [Fact]
    public void After_adds_and_does_not_overflow()
    {
        long before = MonotonicClock.Now;
        long later = MonotonicClock.After(TimeSpan.FromMilliseconds(1));
        Assert.True(later >= before + MonotonicClock.NanosecondsPerMillisecond);
        Assert.True(later <= MonotonicClock.Now + MonotonicClock.NanosecondsPerMillisecond);
        Assert.Equal(long.MaxValue, MonotonicClock.After(TimeSpan.MaxValue));
    }
}
