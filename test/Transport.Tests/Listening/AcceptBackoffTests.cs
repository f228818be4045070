using KestrelNetpoll.Transport.Listening;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Listening;

[OneMode]
public class AcceptBackoffTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void The_delay_doubles_from_5_ms_to_1_s()
    {
        var backoff = new AcceptBackoff(new AcceptBackoff.Shared(_time));

        double[] delays = [.. Enumerable.Range(0, 10).Select(_ => backoff.OnFailure(out bool _).TotalMilliseconds)];

        Assert.Equal([5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000], delays);
        Assert.Equal(10, backoff.Failures);
    }

    [Fact]
    public void An_accepted_connection_resets_the_delay_but_not_the_count()
    {
        var backoff = new AcceptBackoff(new AcceptBackoff.Shared(_time));
        backoff.OnFailure(out _);
        backoff.OnFailure(out _);

        backoff.OnSuccess();

        Assert.Equal(AcceptBackoff.FirstDelay, backoff.OnFailure(out _));
        Assert.Equal(3, backoff.Failures);
    }

    [Fact]
    public void It_warns_once_per_interval()
    {
        var backoff = new AcceptBackoff(new AcceptBackoff.Shared(_time));

        Assert.True(Fail());
        Assert.False(Fail());
        _time.Now += AcceptBackoff.WarningInterval - TimeSpan.FromTicks(1);
        Assert.False(Fail());
        _time.Now += TimeSpan.FromTicks(1);
        Assert.True(Fail());
        backoff.OnSuccess();
        Assert.False(Fail());

        bool Fail()
        {
            backoff.OnFailure(out bool warn);
            return warn;
        }
    }

    [Fact]
    public void The_end_is_news_once_after_each_warning()
    {
        var backoff = new AcceptBackoff(new AcceptBackoff.Shared(_time));
        Assert.False(backoff.OnSuccess());
        backoff.OnFailure(out _);

        // Let in because there are few; the delay is the first one again.
        Assert.False(backoff.OnSuccess(hasRoom: false));
        Assert.Equal(AcceptBackoff.FirstDelay, backoff.OnFailure(out _));
        Assert.True(backoff.OnSuccess());
        Assert.False(backoff.OnSuccess());

        // Nobody was warned of this one.
        backoff.OnFailure(out bool warned);
        Assert.False(warned);
        Assert.False(backoff.OnSuccess());
        _time.Now += AcceptBackoff.WarningInterval;
        backoff.OnFailure(out _);
        Assert.True(backoff.OnSuccess());
    }

    [Fact]
    public void Acceptors_of_one_endpoint_warn_together_and_pause_alone()
    {
        var shared = new AcceptBackoff.Shared(_time);
        var first = new AcceptBackoff(shared);
        var second = new AcceptBackoff(shared);

        first.OnFailure(out bool firstWarns);
        first.OnFailure(out _);
        Assert.Equal(AcceptBackoff.FirstDelay, second.OnFailure(out bool secondWarns));

        Assert.Equal((true, false), (firstWarns, secondWarns));
        Assert.Equal((3, 3), (first.Failures, second.Failures));
    }
}
