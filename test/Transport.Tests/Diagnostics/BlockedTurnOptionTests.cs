using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

public sealed class BlockedTurnOptionTests
{
    public static TheoryData<TimeSpan?, long> Thresholds => new()
    {
        { null, 0 },
        { TimeSpan.Zero, 0 },
        { TimeSpan.FromMilliseconds(1), 1_000_000 },
        { TimeSpan.FromDays(1), 86_400_000_000_000 },
    };

    [Theory]
    [MemberData(nameof(Thresholds))]
    public void Null_and_zero_turn_it_off(TimeSpan? threshold, long nanoseconds)
    {
        var options = new NetpollTransportOptions { BlockedTurnThreshold = threshold, NameBlockedRequests = true };
        var diagnostics = new NetpollDiagnostics(NullLogger.Instance, TimeProvider.System);

        diagnostics.Configure(options);

        Assert.True(new NetpollTransportOptionsValidator().Validate(null, options).Succeeded);
        Assert.Equal(nanoseconds, diagnostics.BlockedTurnThreshold);
        Assert.Equal(nanoseconds != 0, diagnostics.Names is not null);
    }

    [Theory]
    [InlineData("-00:00:01")]
    [InlineData("00:00:00.0009999")]
    [InlineData("1.00:00:00.0000001")]
    public void What_is_out_of_range_is_named(string threshold)
    {
        var options = new NetpollTransportOptions { BlockedTurnThreshold = TimeSpan.Parse(threshold, null) };

        Assert.Equal(
            [
                $"NetpollTransportOptions.BlockedTurnThreshold is {threshold}; "
                    + "it must be null, 0 (both turn it off) or between 00:00:00.0010000 and 1.00:00:00.",
            ],
            new NetpollTransportOptionsValidator().Validate(null, options).Failures);
    }
}
