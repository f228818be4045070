using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Writing;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>The table of <see cref="GatherMeter"/>, with times of the test's own.</summary>
[OneMode]
public sealed class GatherMeterTests
{
    private GatherMeter _meter;
    private long _now = 1_000_000_000;

    [Fact]
    public void After_a_quick_flush_they_are_held()
    {
        Assert.False(FlushLate());
        Assert.True(FlushQuickly());
        Assert.True(FlushQuickly());
    }

    /// <summary>A response in two pieces, the first of which comes late, again and again.</summary>
    [Fact]
    public void The_first_flush_of_the_next_response_is_held()
    {
        Begin();
        for (int i = 0; i < 10; i++)
        {
            Assert.True(FlushLate());
            Assert.True(FlushQuickly());
        }
    }

    [Fact]
    public void A_late_flush_that_follows_no_quick_one_ends_it()
    {
        Begin();
        Assert.True(FlushLate());
        Assert.False(FlushLate());
        Assert.False(FlushLate());
        Assert.True(FlushQuickly());
    }

    [Fact]
    public void Four_times_in_vain_end_it_and_each_time_it_takes_twice_as_much_to_begin()
    {
        FlushLate();
        foreach (int needed in (int[])[1, 2, 4, 8, 16, 32, 64, 128, 128])
        {
            Assert.Equal(needed, QuickFlushesUntilHeld());
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
            QuickFlushesUntilHeld();
            GatherNothing();
        }

        QuickFlushesUntilHeld();
        Send(left, sentByFlush);

        // Also the count of times in vain.
        Send(1, byFlush: false);
        Send(1, byFlush: false);
        Send(1, byFlush: false);
        Assert.True(FlushQuickly());
        GatherNothing(times: 1);
        Assert.Equal(2, QuickFlushesUntilHeld());
    }

    [Fact]
    public void After_256_flushes_without_a_verdict_half_as_many_are_enough()
    {
        for (int i = 0; i < 4; i++)
        {
            QuickFlushesUntilHeld();
            GatherNothing();
        }

        for (int i = 0; i < GatherMeter.FlushesBeforeNextTry + 1; i++)
        {
            Assert.False(FlushLate());
        }

        Assert.Equal(8, QuickFlushesUntilHeld());
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
        Assert.Equal(1, QuickFlushesUntilHeld());
    }

    /// <summary>What is quick counts, also if something late is in between: responses in two pieces are so.</summary>
    [Fact]
    public void Late_flushes_in_between_do_not_matter()
    {
        Begin();
        GatherNothing();
        Assert.False(FlushQuickly());
        Assert.False(FlushLate());
        Assert.True(FlushQuickly());
    }

    private void GatherNothing(int times = GatherMeter.SinglesBeforeNo)
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
            _meter.OnHeld();
        }

        _meter.OnSending(byFlush);
    }

    private int QuickFlushesUntilHeld()
    {
        int flushes = 1;
        while (!FlushQuickly())
        {
            flushes++;
        }

        return flushes;
    }

    private bool FlushQuickly() => Flush(GatherMeter.QuickNanoseconds - 1);

    private bool FlushLate() => Flush(GatherMeter.QuickNanoseconds);

    private bool Flush(long after)
    {
        _now += after;
        return _meter.OnFlush(_now);
    }
}
