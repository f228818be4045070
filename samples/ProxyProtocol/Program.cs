using System.Text;
using KestrelNetpoll.Transport;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var commandLine = new CommandLine("ProxyProtocol", Option.Urls, Option.Environment, Option.Setting);
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

WebApplicationBuilder builder = WebApplication.CreateBuilder(commandLine.Configuration);
builder.WebHost.UseNetpollTransport();
builder.WebHost.ConfigureKestrel(static kestrel => kestrel.ConfigureEndpointDefaults(static endpoint =>
{
    endpoint.Protocols = HttpProtocols.Http1;
    endpoint.UseProxyProtocol(static options =>
    {
        // HAProxy on this machine is trusted anyway. One on another needs its network here:
        // options.TrustedNetworks.Add(IPNetwork.Parse("10.0.0.0/24"));
        options.Timeout = TimeSpan.FromSeconds(3);
    });
}));

// Why a connection was refused is a line at level Debug.
builder.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter("KestrelNetpoll.Transport.ProxyProtocol", LogLevel.Debug);

WebApplication app = builder.Build();
app.MapGet("/", static (HttpContext context) =>
{
    ConnectionInfo client = context.Connection;
    IProxyProtocolFeature proxy = context.Features.GetRequiredFeature<IProxyProtocolFeature>();
    bool hasId = proxy.Tlvs.TryGetValue(ProxyProtocolTlvType.UniqueId, out ReadOnlyMemory<byte> bytes);
    string id = hasId ? Encoding.UTF8.GetString(bytes.Span) : "none";
    return $"""
        client {client.RemoteIpAddress}:{client.RemotePort} has asked {client.LocalIpAddress}:{client.LocalPort}
        proxy {proxy.SocketRemoteEndPoint} has sent a header of version {proxy.Version}; id {id}

        """;
});
app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine($"Listening on {string.Join(", ", app.Urls)}"));
app.Run();
return 0;
