using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Hosting;

[OneMode]
public class ReloadTests
{
    [Fact]
    public async Task Endpoints_come_and_go_with_the_configuration()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection([KeyValuePair.Create<string, string?>("Kestrel:Endpoints:First:Url", "http://127.0.0.1:0")]);
        builder.WebHost
            .UseKestrel(options => options.Configure(builder.Configuration.GetSection("Kestrel"), reloadOnChange: true))
            .UseNetpollTransport();
        await using WebApplication app = builder.Build();
        app.Run(static context => context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "other"));
        await app.StartAsync().InTime();
        NetpollTransportFactory factory = app.Services.GetRequiredService<NetpollTransportFactory>();
        EndPoint first = Assert.Single(factory.EndPoints);
        using RawClient old = await RawClient.ConnectAsync(first);
        Assert.Equal("netpoll", await GetAsync(old));

        builder.Configuration["Kestrel:Endpoints:First:Url"] = "http://127.0.0.2:0";
        ((IConfigurationRoot)builder.Configuration).Reload();
        await Patience.UntilAsync(() => factory.EndPoints.Any(endPoint => !endPoint.Equals(first)), "the new endpoint is bound");
        await Patience.UntilAsync(() => !factory.EndPoints.Contains(first), "the old endpoint is unbound");

        EndPoint second = Assert.Single(factory.EndPoints);
        using RawClient client = await RawClient.ConnectAsync(second);
        Assert.Equal("netpoll", await GetAsync(client));
        await Assert.ThrowsAsync<SocketException>(() => RawClient.ConnectAsync(first));
        await app.StopAsync().InTime();
        Assert.Empty(factory.EndPoints);
        Assert.NotNull(app.Services.GetRequiredService<IServer>());
    }

    private static async Task<string> GetAsync(RawClient client)
    {
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        return (await client.ReadResponseAsync()).Text;
    }
}
