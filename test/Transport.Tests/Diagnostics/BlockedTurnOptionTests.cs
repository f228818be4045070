using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

[OneMode]
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
        var options = new NetpollTransportOptions
        {
            BlockedTurnThreshold = threshold,
            NameBlockedRequests = true,
            ApplicationScheduling = ApplicationScheduling.Workers,
        };
        var diagnostics = new NetpollDiagnostics(NullLogger.Instance, TimeProvider.System);

        diagnostics.Configure(options);

        Assert.True(new NetpollTransportOptionsValidator().Validate(null, options).Succeeded);
        Assert.Equal(nanoseconds, diagnostics.BlockedTurnThreshold);
        Assert.Equal(nanoseconds != 0, diagnostics.Names is not null);
    }

    [Theory]
    [InlineData(ApplicationScheduling.Workers, true)]
    [InlineData(ApplicationScheduling.WorkersOnly, true)]
    [InlineData(ApplicationScheduling.ThreadPool, false)]
    public void Requests_are_named_only_where_they_can_block_a_worker(ApplicationScheduling scheduling, bool named)
    {
        var diagnostics = new NetpollDiagnostics(NullLogger.Instance, TimeProvider.System);

        diagnostics.Configure(new NetpollTransportOptions { ApplicationScheduling = scheduling, NameBlockedRequests = true });

        Assert.Equal(named, diagnostics.Names is not null);
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
