using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

[OneMode]
public sealed class BlockedTurnThrottleTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromTicks(1);

    private readonly ManualTime _time = new();
    private readonly BlockedTurnThrottle _throttle;

    public BlockedTurnThrottleTests() => _throttle = new BlockedTurnThrottle(_time);

    [Fact]
    public void One_of_a_kind_in_ten_seconds_and_the_others_are_counted()
    {
        Assert.Equal(0, Enter("/a"));
        Assert.Null(Enter("/a"));
        _time.Now += BlockedTurnThrottle.Interval - Tick;
        Assert.Null(Enter("/a"));
        _time.Now += Tick;
        Assert.Equal(2, Enter("/a"));
        Assert.Null(Enter("/a"));
    }

    [Fact]
    public void Kinds_do_not_keep_each_other_back()
    {
        Assert.Equal(0, Enter("/a"));
        Assert.Equal(0, Enter("/b"));
        Assert.Equal(0, Enter(null));
        Assert.Equal(0, Enter("/a", BlockedTurnCause.Computing));
        Assert.Equal(0, Enter("/a", BlockedTurnCause.KernelCall, "read"));
        Assert.Equal(0, Enter("/a", BlockedTurnCause.KernelCall, "write"));
        Assert.Null(Enter("/a", BlockedTurnCause.KernelCall, "write"));
        Assert.Equal(0, Enter("/a", BlockedTurnCause.Computing, level: LogLevel.Debug));
    }

    /// <summary>Clients make up paths.</summary>
    [Fact]
    public void Beyond_a_number_of_kinds_they_share_a_place_until_others_are_forgotten()
    {
        for (int i = 0; i < BlockedTurnThrottle.MaxKinds; i++)
        {
            Assert.Equal(0, Enter($"/{i}"));
        }

        Assert.Equal(0, Enter("/more"));
        Assert.Null(Enter("/more"));
        Assert.Null(Enter("/still/more"));
        Assert.Null(Enter("/0"));
        _time.Now += BlockedTurnThrottle.Interval;
        Assert.Equal(1, Enter("/0"));
        Assert.Equal(0, Enter("/more"));
    }

    // Null: it is not let through.
    private long? Enter(
        string? handler,
        BlockedTurnCause cause = BlockedTurnCause.ManagedWait,
        string? call = null,
        LogLevel level = LogLevel.Warning) =>
        _throttle.TryEnter(new BlockedTurnThrottle.Kind(level, cause, call, handler), out long suppressed) ? suppressed : null;
}
