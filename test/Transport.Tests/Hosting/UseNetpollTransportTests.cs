using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

[OneMode]
public class UseNetpollTransportTests
{
    private const string Sockets = "SocketTransportFactory";
    private const string Netpoll = nameof(NetpollTransportFactory);

    [Fact]
    public void Netpoll_is_asked_first_and_Sockets_stays_whatever_the_order_of_calls()
    {
        // Kestrel asks the last one first.
        string[] expected = [Sockets, Netpoll];

        Assert.Equal(expected, FactoriesOf(host => host.UseKestrel().UseNetpollTransport()));
        Assert.Equal(expected, FactoriesOf(host => host.UseNetpollTransport().UseKestrel()));
        Assert.Equal(expected, FactoriesOf(host => host.UseNetpollTransport().UseKestrelCore()));
        Assert.Equal(expected, FactoriesOf(host => host.UseKestrel().UseSockets().UseNetpollTransport().UseSockets()));
    }

    [Fact]
    public void Calling_it_twice_registers_it_once_and_applies_both_configurations()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel()
            .UseNetpollTransport(options => (options.WorkerCount, options.Backlog) = (3, 7))
            .UseNetpollTransport(options => options.WorkerCount = 4);
        using ServiceProvider services = builder.Services.BuildServiceProvider();

        Assert.Equal([Sockets, Netpoll], NamesOf(services));
        NetpollTransportOptions options = services.GetRequiredService<IOptions<NetpollTransportOptions>>().Value;
        Assert.Equal((4, 7), (options.WorkerCount, options.Backlog));
        Assert.Same(
            services.GetRequiredService<NetpollTransportFactory>(),
            services.GetServices<IConnectionListenerFactory>().OfType<NetpollTransportFactory>().Single());
    }

    [Fact]
    public void Null_is_refused() =>
        Assert.Throws<ArgumentNullException>(() => NetpollWebHostBuilderExtensions.UseNetpollTransport(null!));

    [Fact]
    public async Task A_request_can_see_the_transport_and_its_counters()
    {
        NetpollTransportStatistics seen = default;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = options => options.WorkerCount = 3;
            setup.App = context =>
            {
                INetpollTransportFeature feature = context.Features.Get<INetpollTransportFeature>()!;
                seen = feature.Statistics;
                return context.Response.WriteAsync($"{feature.Transport} {feature.Backend} {feature.WorkerCount}");
            };
        });

        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal($"netpoll {SuiteSettings.BackendName} 3", (await client.ReadResponseAsync()).Text);
        NetpollTransportStatistics first = seen;
        Assert.Equal((1, 1), (first.AcceptedConnections, first.ActiveConnections));

        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await client.ReadResponseAsync();
        Assert.True(seen.Turns > first.Turns);
        Assert.True(seen.Events > first.Events);
        Assert.True(seen.BytesReceived > first.BytesReceived);
        Assert.True(seen.BytesSent > first.BytesSent);
        Assert.Equal(seen.AcceptedConnections, server.Factory!.GetStatistics().AcceptedConnections);
    }

    [Fact]
    public async Task Each_endpoint_is_announced_with_its_real_port()
    {
        await using TestServer server = await TestServer.StartAsync(
            TransportKind.Netpoll, setup => setup.Kestrel = options => options.Listen(IPAddress.IPv6Loopback, 0));

        string[] lines = [.. server.Logs.Of(TransportKind.Netpoll, 101).Select(entry => entry.Message)];
        Assert.Equal(2, lines.Length);
        Assert.Equal(2, server.Factory!.EndPoints.Count);
        foreach (EndPoint endPoint in server.Factory.EndPoints)
        {
            Assert.NotEqual(0, ((IPEndPoint)endPoint).Port);
            Assert.Single(lines, line => line.StartsWith($"{endPoint} is served by netpoll: {SuiteSettings.BackendName}, ", StringComparison.Ordinal));
        }

        Assert.All(server.Logs.Of(TransportKind.Netpoll, 101), entry => Assert.Equal(LogLevel.Information, entry.Level));
    }

    [Fact]
    public async Task The_pool_comes_from_the_service_provider()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);

        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await client.ReadResponseAsync();

        Assert.Equal(["kestrel"], server.Pools.Owners.Distinct());
        Assert.True(server.Pools.TotalRents > 0);
    }

    private static string[] FactoriesOf(Action<IWebHostBuilder> configure)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        configure(builder.WebHost);
        using ServiceProvider services = builder.Services.BuildServiceProvider();
        return NamesOf(services);
    }

    private static string[] NamesOf(ServiceProvider services) =>
        [.. services.GetServices<IConnectionListenerFactory>().Select(factory => factory.GetType().Name)];
}
