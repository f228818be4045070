using KestrelNetpoll.Transport.Reading;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>The table of <see cref="PlaceMeter"/>.</summary>
[OneMode]
public sealed class PlaceMeterTests
{
    private const long Work = PlaceMeter.WorkNanoseconds;

    private PlaceMeter _meter;

    [Fact]
    public void Nothing_is_measured_before_some_requests_in_a_row_have_left_their_turns()
    {
        for (int i = 0; i < PlaceMeter.LeavesBeforeMeasuring; i++)
        {
            Assert.False(_meter.OnTurnBegins());
            _meter.OnReadWaits(inTurn: false);
        }

        Assert.True(_meter.OnTurnBegins());
        _meter.OnReadWaits(inTurn: true);
        Assert.False(_meter.OnTurnBegins());
        _meter.OnReadWaits(inTurn: false);
        Assert.False(_meter.OnTurnBegins());
    }

    [Theory]
    [InlineData(Work, true)]
    [InlineData(PlaceMeter.StoppedNanoseconds - 1, true)]
    [InlineData(Work - 1, false)]
    [InlineData(PlaceMeter.StoppedNanoseconds, false)]
    [InlineData(PlaceMeter.LongNanoseconds, false)]
    public void Turns_move_after_much_work_and_not_after_little_nor_after_what_may_be_no_work(long nanoseconds, bool moves)
    {
        Leave();
        for (int i = 1; i < PlaceMeter.VotesToMove; i++)
        {
            Request(nanoseconds);
            Assert.False(_meter.PrefersThreadPool);
        }

        Request(nanoseconds);
        Assert.Equal(moves, _meter.PrefersThreadPool);
    }

    [Fact]
    public void One_request_that_ends_in_its_turn_keeps_them_on_the_workers()
    {
        Leave();
        Request(Work, PlaceMeter.VotesToMove - 1);
        _meter.OnReadWaits(inTurn: true);
        Leave();
        Request(Work, PlaceMeter.VotesToMove - 1);
        Assert.False(_meter.PrefersThreadPool);
        Request(Work);
        Assert.True(_meter.PrefersThreadPool);
    }

    /// <summary>As often one way as the other: where they are, they stay.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Mixed_requests_move_nothing(bool moved)
    {
        if (moved)
        {
            Move();
        }

        Leave();
        for (int i = 0; i < 100; i++)
        {
            Request(Work - 1);
            Request(Work);
            Assert.Equal(moved, _meter.PrefersThreadPool);
        }
    }

    [Theory]
    [InlineData(false, PlaceMeter.MostVotes)]
    [InlineData(true, PlaceMeter.MostVotes / 2)]
    public void They_move_back_when_there_is_little_work_or_none_is_left(bool inTurn, int requests)
    {
        Move();
        for (int i = 0; i < requests; i++)
        {
            Assert.True(_meter.PrefersThreadPool);
            if (inTurn)
            {
                _meter.OnReadWaits(inTurn: true);
            }
            else
            {
                Request(Work - 1);
            }
        }

        Assert.False(_meter.PrefersThreadPool);
    }

    [Theory]
    [InlineData(PlaceMeter.LongNanoseconds, false, -PlaceMeter.VotesOfLong)]
    [InlineData(Work, true, -PlaceMeter.VotesOfBlocked)]
    public void What_may_have_blocked_moves_back_at_once_and_stays_for_longer(long nanoseconds, bool hasBlocked, int votes)
    {
        Move();
        _meter.OnTurnEnded(nanoseconds, hasBlocked);
        Assert.False(_meter.PrefersThreadPool);

        // Neither little work nor a request that ends in its turn makes it forget, or worse.
        Request(Work - 1, 10);
        _meter.OnReadWaits(inTurn: true);
        Leave();
        Request(Work, votes + PlaceMeter.VotesToMove - 1);
        Assert.False(_meter.PrefersThreadPool);
        Request(Work);
        Assert.True(_meter.PrefersThreadPool);
    }

    [Fact]
    public void On_the_thread_pool_what_may_have_blocked_counts_against_it()
    {
        Move();
        Request(PlaceMeter.StoppedNanoseconds, (PlaceMeter.MostVotes / 2) - 1);
        Assert.True(_meter.PrefersThreadPool);
        Request(PlaceMeter.StoppedNanoseconds);
        Assert.False(_meter.PrefersThreadPool);
    }

    /// <summary>It is no work before an await.</summary>
    [Fact]
    public void What_a_turn_takes_does_not_count_if_the_request_ends_in_it()
    {
        Move();
        for (int i = 0; i < PlaceMeter.MostVotes / 2; i++)
        {
            Assert.True(_meter.PrefersThreadPool);
            Assert.True(_meter.OnTurnBegins());
            _meter.OnReadWaits(inTurn: true);
            _meter.OnTurnEnded(Work, hasBlocked: false);
        }

        Assert.False(_meter.PrefersThreadPool);
    }

    private void Move()
    {
        Leave();
        Request(Work, PlaceMeter.VotesToMove);
        Assert.True(_meter.PrefersThreadPool);
    }

    private void Leave()
    {
        for (int i = 0; i < PlaceMeter.LeavesBeforeMeasuring; i++)
        {
            _meter.OnReadWaits(inTurn: false);
        }
    }

    private void Request(long nanoseconds, int times = 1)
    {
        for (int i = 0; i < times; i++)
        {
            Assert.True(_meter.OnTurnBegins());
            _meter.OnTurnEnded(nanoseconds, hasBlocked: false);
            _meter.OnReadWaits(inTurn: false);
        }
    }
}
