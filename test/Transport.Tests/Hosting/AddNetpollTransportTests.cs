using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>The transport added to services, for whoever has no builder of a web host.</summary>
[OneMode]
public class AddNetpollTransportTests
{
    [Fact]
    public void It_registers_what_the_method_of_the_web_host_registers()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel().UseNetpollTransport();
        string[] expected = Describe(builder.Services);

        builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel();
        builder.Services.AddNetpollTransport();

        Assert.Equal(expected, Describe(builder.Services));

        builder.Services.AddNetpollTransport();
        builder.WebHost.UseNetpollTransport();
        Assert.Equal(expected, Describe(builder.Services));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Netpoll_is_asked_first_and_Sockets_stays_whatever_comes_first(bool kestrelFirst)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        if (kestrelFirst)
        {
            builder.WebHost.UseKestrel();
        }

        builder.Services.AddNetpollTransport();
        if (!kestrelFirst)
        {
            builder.WebHost.UseKestrel();
        }

        using ServiceProvider services = builder.Services.BuildServiceProvider();
        Assert.Equal(
            ["SocketTransportFactory", nameof(NetpollTransportFactory)],
            services.GetServices<IConnectionListenerFactory>().Select(static factory => factory.GetType().Name));
        Assert.Same(services.GetRequiredService<NetpollTransportFactory>(), services.GetRequiredService<INetpollTransportStatistics>());
    }

    [Fact]
    public void Each_configuration_is_applied_in_order_and_wins_over_the_section()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Kestrel:Netpoll:WorkerCount"] = "3",
            ["Kestrel:Netpoll:Backlog"] = "4",
            ["Kestrel:Netpoll:FastOpen"] = "8",
        });
        builder.WebHost.UseKestrel();
        builder.Services
            .AddNetpollTransport(static options => (options.WorkerCount, options.Backlog) = (5, 6))
            .AddNetpollTransport(static options => options.Backlog = 7);
        using ServiceProvider services = builder.Services.BuildServiceProvider();

        NetpollTransportOptions options = services.GetRequiredService<IOptions<NetpollTransportOptions>>().Value;
        Assert.Equal((5, 7, 8), (options.WorkerCount, options.Backlog, options.FastOpen));
    }

    [Fact]
    public async Task It_serves_and_counts()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel(static options => options.Listen(System.Net.IPAddress.Loopback, 0));
        builder.Services.AddNetpollTransport(static options => options.WorkerCount = 2);
        await using WebApplication app = builder.Build();
        app.Run(static context => context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "other"));
        await app.StartAsync().InTime();

        using RawClient client = await RawClient.ConnectAsync(app.Services.GetRequiredService<NetpollTransportFactory>().EndPoints.Single());
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

        Assert.Equal("netpoll", (await client.ReadResponseAsync()).Text);
        Assert.Equal(1, app.Services.GetRequiredService<INetpollTransportStatistics>().GetStatistics().AcceptedConnections);
        await app.StopAsync().InTime();
    }

    [Fact]
    public async Task A_mistake_stops_the_host()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel();
        builder.Services.AddNetpollTransport(static options => options.Backlog = 0);
        await using WebApplication app = builder.Build();

        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync().InTime());
        Assert.Equal(["NetpollTransportOptions.Backlog is 0; it must be 1 or more."], e.Failures);
    }

    [Fact]
    public void Null_is_refused() =>
        Assert.Throws<ArgumentNullException>(() => NetpollServiceCollectionExtensions.AddNetpollTransport(null!));

    // What is ours, and the transports.
    private static string[] Describe(IServiceCollection services) =>
    [
        .. from service in services
           let types = $"{service.ServiceType} {service.ImplementationType} {service.Lifetime}"
           where types.Contains("Netpoll", StringComparison.Ordinal)
              || service.ServiceType == typeof(IConnectionListenerFactory)
              || service.ServiceType == typeof(IStartupFilter)
           select types,
    ];
}
