using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

[OneMode]
public class ProxyProtocolOptionsTests
{
    public static TheoryData<string, Action<ProxyProtocolOptions>> Wrong => new()
    {
        {
            "ProxyProtocolOptions.Timeout is 00:00:00; it must be between 00:00:00.0010000 and 24.20:31:23.6470000.",
            static o => o.Timeout = TimeSpan.Zero
        },
        { "ProxyProtocolOptions.Timeout is -00:00:00.0010000; ", static o => o.Timeout = Timeout.InfiniteTimeSpan },
        { "ProxyProtocolOptions.Timeout is 25.00:00:00; ", static o => o.Timeout = TimeSpan.FromDays(25) },
        { "ProxyProtocolOptions.MaxHeaderLength is 231; it must be between 232 and 65551 bytes.", static o => o.MaxHeaderLength = 231 },
        { "ProxyProtocolOptions.MaxHeaderLength is 65552; ", static o => o.MaxHeaderLength = 65552 },
        {
            "ProxyProtocolOptions.TrustedNetworks is empty; it must be one network or more "
                + "while Required is set and TrustUnixSockets is not: no connection could be served.",
            static o => (o.TrustUnixSockets, _) = (false, Clear(o.TrustedNetworks))
        },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task A_value_out_of_range_stops_the_start_and_the_message_names_it(string message, Action<ProxyProtocolOptions> configure)
    {
        OptionsValidationException exception = await Assert.ThrowsAsync<OptionsValidationException>(
            () => TestServer.StartAsync(TransportKind.Netpoll, setup => setup.Endpoint = endpoint => endpoint.UseProxyProtocol(configure)));

        Assert.StartsWith(message, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_mistakes_are_told_at_once()
    {
        var options = new ProxyProtocolOptions { Timeout = TimeSpan.Zero, MaxHeaderLength = 1 };

        Assert.Equal(2, Assert.Throws<OptionsValidationException>(options.Validate).Failures.Count());
    }

    [Fact]
    public void The_limits_themselves_are_allowed()
    {
        new ProxyProtocolOptions { Timeout = TimeSpan.FromMilliseconds(1), MaxHeaderLength = 232 }.Validate();
        new ProxyProtocolOptions { Timeout = TimeSpan.FromMilliseconds(int.MaxValue), MaxHeaderLength = 65551 }.Validate();

        var nobody = new ProxyProtocolOptions { Required = false, TrustUnixSockets = false };
        nobody.TrustedNetworks.Clear();
        nobody.Validate();

        var onlyUnix = new ProxyProtocolOptions();
        onlyUnix.TrustedNetworks.Clear();
        onlyUnix.Validate();
    }

    [Fact]
    public void The_defaults_trust_this_machine_and_nobody_else()
    {
        var options = new ProxyProtocolOptions();

        Assert.Equal([IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128")], options.TrustedNetworks);
        Assert.True(options.TrustUnixSockets);
        Assert.True(options.Required);
        Assert.Equal(TimeSpan.FromSeconds(5), options.Timeout);
        Assert.Equal(4096, options.MaxHeaderLength);
        options.Validate();
    }

    [Fact]
    public void An_endpoint_is_needed() =>
        Assert.Throws<ArgumentNullException>(() => ProxyProtocolListenOptionsExtensions.UseProxyProtocol(null!));

    private static int Clear(IList<IPNetwork> networks)
    {
        networks.Clear();
        return 0;
    }
}
