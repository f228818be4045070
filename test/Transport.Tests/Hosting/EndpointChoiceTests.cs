using System.Net;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>What code says of an endpoint, where the configuration, or another transport, is in its way.</summary>
[OneMode]
public class EndpointChoiceTests
{
    private const int SectionOverruled = 115;
    private const int ChoiceMissed = 116;

    [Theory]
    [InlineData(true, "127.0.0.2 sockets,127.0.0.3 sockets,127.0.0.4 sockets,127.0.0.5 sockets,127.0.0.6 sockets", "A,B")]
    [InlineData(false, "127.0.0.2 netpoll 11,127.0.0.3 netpoll 7,127.0.0.4 netpoll 11,127.0.0.5 netpoll 11,127.0.0.6 netpoll 11", "C")]
    public async Task Code_that_wins_over_a_section_says_so(bool sockets, string transports, string overruled)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.App = ConfiguredEndpoints.AnswerTransport;
            setup.Netpoll = static netpoll => netpoll.Backlog = 11;
            setup.Kestrel = options => options.ConfigureEndpointDefaults(
                endpoint => _ = sockets ? endpoint.UseSocketsTransport() : endpoint.UseNetpoll());
            ConfiguredEndpoints.Add(setup, "A", "127.0.0.2", ("Netpoll", "true"));
            ConfiguredEndpoints.Add(setup, "B", "127.0.0.3", ("Netpoll:Backlog", "7"));
            ConfiguredEndpoints.Add(setup, "C", "127.0.0.4", ("Netpoll", "false"));
            ConfiguredEndpoints.Add(setup, "D", "127.0.0.5", ("Netpoll", ""));
            ConfiguredEndpoints.Add(setup, "E", "127.0.0.6");
        });

        Assert.Equal(transports, string.Join(',', await ConfiguredEndpoints.DescribeAsync(server)));
        LogEntry[] entries = [.. server.Logs.Of(TransportKind.Netpoll, SectionOverruled)];
        Assert.Equal(
            overruled.Split(',').Select(name => $"Kestrel:Endpoints:{name}:Netpoll says otherwise, but code has called "
                + $"{(sockets ? "UseSocketsTransport" : "UseNetpoll")} for 127.0.0.{name[0] - 'A' + 2}:0, "
                + "or for all endpoints by default, and code wins. Take one of the two away."),
            entries.Select(static entry => entry.Message));
        Assert.All(entries, static entry => Assert.Equal(LogLevel.Warning, entry.Level));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_choice_that_no_transport_asks_for_is_told_of(bool sockets, bool handsOnTheSame)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Services = services => services.AddSingleton<IConnectionListenerFactory>(
                provider => new Wrapper(provider.GetRequiredService<NetpollTransportFactory>(), handsOnTheSame));
            setup.Kestrel = options =>
            {
                options.Listen(IPAddress.Parse("127.0.0.2"), 0, endpoint => _ = sockets ? endpoint.UseSocketsTransport() : endpoint.UseNetpoll());
                options.Listen(IPAddress.Parse("127.0.0.3"), 0);
            };
        });

        LogEntry[] entries = [.. server.Logs.Of(TransportKind.Netpoll, ChoiceMissed)];
        if (handsOnTheSame)
        {
            Assert.Empty(entries);
        }
        else
        {
            LogEntry entry = Assert.Single(entries);
            Assert.Equal(LogLevel.Warning, entry.Level);
            Assert.StartsWith(
                $"{(sockets ? "UseSocketsTransport" : "UseNetpoll")} of endpoint http://127.0.0.2:0 has no effect: ",
                entry.Message,
                StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("127.0.0.1:5001", "127.0.0.1:5001", true)]
    [InlineData("127.0.0.1:5001", "[::1]:5001", true)]
    [InlineData("127.0.0.1:5001", "[::1]:5002", false)]
    [InlineData("127.0.0.1:5001", "0.0.0.0:5001", false)]
    [InlineData("0.0.0.0:5001", "127.0.0.1:5001", false)]
    [InlineData("[::]:5001", "[::1]:5001", false)]
    [InlineData("127.0.0.1:0", "127.0.0.1:0", false)]
    public void Only_for_localhost_another_endpoint_may_be_meant(string chosen, string asked, bool found)
    {
        EndpointChoice? choice = null;
        var chosenEndPoint = IPEndPoint.Parse(chosen);
        new KestrelServerOptions().Listen(chosenEndPoint, endpoint => choice = new EndpointChoice(endpoint));

        Assert.Equal(found, choice!.IsFor(IPEndPoint.Parse(asked)));
        Assert.True(choice.IsFor(chosenEndPoint));
    }

    private sealed class Wrapper(IConnectionListenerFactory inner, bool handsOnTheSame) : IConnectionListenerFactory
    {
        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => inner.BindAsync(
            handsOnTheSame ? endpoint : new IPEndPoint(((IPEndPoint)endpoint).Address, ((IPEndPoint)endpoint).Port), cancellationToken);
    }
}
