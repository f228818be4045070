using KestrelNetpoll.Transport.Internal;

namespace KestrelNetpoll.Transport.Tests.Internal;

/// <summary>The table of <see cref="BurstMeter"/>, with times of the test's own.</summary>
public sealed class BurstMeterTests
{
    private BurstMeter _meter;
    private long _now = 1_000_000_000;

    [Fact]
    public void Two_quick_flushes_in_a_row_are_a_burst()
    {
        Assert.False(FlushLate());
        Assert.False(FlushQuickly());
        Assert.True(FlushQuickly());
        Assert.True(FlushQuickly());
    }

    [Fact]
    public void The_first_flush_of_the_next_one_is_part_of_it()
    {
        Begin();
        Assert.True(FlushLate());
        Assert.True(FlushQuickly());
    }

    [Fact]
    public void A_late_flush_that_follows_no_quick_one_ends_it()
    {
        Begin();
        Assert.True(FlushLate());
        Assert.False(FlushLate());
        Assert.False(FlushQuickly());
    }

    [Fact]
    public void Four_times_in_vain_end_it_and_each_time_it_takes_twice_as_much_to_begin()
    {
        FlushLate();
        foreach (int needed in (int[])[2, 4, 8, 16, 32, 64, 128, 128])
        {
            Assert.Equal(needed, QuickFlushesUntilBurst());
            GatherNothing();
        }
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void Whoever_has_gathered_more_than_one_begins_as_at_first(int left, bool sentByFlush)
    {
        for (int i = 0; i < 3; i++)
        {
            QuickFlushesUntilBurst();
            GatherNothing();
        }

        QuickFlushesUntilBurst();
        Send(left, sentByFlush);

        // Also the count of times in vain.
        Send(1, byFlush: false);
        Send(1, byFlush: false);
        Send(1, byFlush: false);
        Assert.True(FlushQuickly());
        GatherNothing(times: 1);
        Assert.Equal(4, QuickFlushesUntilBurst());
    }

    [Fact]
    public void After_256_flushes_without_a_burst_half_as_many_are_enough()
    {
        for (int i = 0; i < 4; i++)
        {
            QuickFlushesUntilBurst();
            GatherNothing();
        }

        for (int i = 0; i < BurstMeter.FlushesBeforeNextTry + 1; i++)
        {
            Assert.False(FlushLate());
        }

        Assert.Equal(16, QuickFlushesUntilBurst());
    }

    [Fact]
    public void What_is_sent_without_having_been_left_says_nothing()
    {
        Begin();
        for (int i = 0; i < 100; i++)
        {
            Send(0, byFlush: i % 2 == 0);
            Assert.True(FlushQuickly());
        }
    }

    private void Begin()
    {
        FlushLate();
        Assert.Equal(BurstMeter.LeastQuickFlushes, QuickFlushesUntilBurst());
    }

    private void GatherNothing(int times = BurstMeter.SinglesBeforeNoBurst)
    {
        for (int i = 0; i < times; i++)
        {
            Send(1, byFlush: false);
        }

        Assert.False(FlushLate());
    }

    private void Send(int left, bool byFlush)
    {
        for (int i = 0; i < left; i++)
        {
            _meter.OnLeft();
        }

        _meter.OnSending(byFlush);
    }

    private int QuickFlushesUntilBurst()
    {
        int flushes = 1;
        while (!FlushQuickly())
        {
            flushes++;
        }

        return flushes;
    }

    private bool FlushQuickly() => Flush(BurstMeter.QuickNanoseconds - 1);

    private bool FlushLate() => Flush(BurstMeter.QuickNanoseconds);

    private bool Flush(long after)
    {
        _now += after;
        return _meter.OnFlush(_now);
    }
}
