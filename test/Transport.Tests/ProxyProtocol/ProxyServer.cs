using System.Net;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.ProxyProtocol;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>A server behind proxies, whose application answers with what it knows of the client.</summary>
internal static class ProxyServer
{
    internal const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    internal static Task<TestServer> StartAsync(
        TransportKind kind,
        Action<ProxyProtocolOptions>? configure = null,
        X509Certificate2? certificate = null,
        HttpProtocols? protocols = null,
        Action<TestServerSetup>? more = null) =>
        TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = endpoint =>
            {
                endpoint.Protocols = protocols ?? (certificate is null ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2);
                endpoint.UseProxyProtocol(options =>
                {
                    // A busy machine is no slow proxy.
                    options.Timeout = Patience.Limit;
                    configure?.Invoke(options);
                });
                if (certificate is not null)
                {
                    endpoint.UseHttps(certificate);
                }
            };
            setup.App = DescribeAsync;
            more?.Invoke(setup);
        });

    internal static async Task DescribeAsync(HttpContext context)
    {
        // Something may be sent along, of which no byte may be missing.
        using var reader = new StreamReader(context.Request.Body);
        string body = await reader.ReadToEndAsync();
        ConnectionInfo connection = context.Connection;
        string remote = EndPoint(connection.RemoteIpAddress, connection.RemotePort);
        string local = EndPoint(connection.LocalIpAddress, connection.LocalPort);
        string header = "none";
        if (context.Features.Get<IProxyProtocolFeature>() is { } feature)
        {
            string source = feature.SourceEndPoint?.ToString() ?? "-";
            header = $"v{feature.Version} {feature.Command} {source} {feature.DestinationEndPoint?.ToString() ?? "-"}";
        }

        string text = $"{remote} {local} {header}{body}";
        context.Response.ContentLength = text.Length;
        await context.Response.WriteAsync(text);
    }

    internal static IEnumerable<LogEntry> Refusals(this TestServer server) =>
        server.Logs.Entries.Where(static entry => entry.Category == ProxyProtocolLog.Category);

    /// <summary>One line at Debug, which names the peer and the reason; and nothing above.</summary>
    internal static async Task AssertRefusedAsync(this TestServer server, EndPoint? peer, string reason)
    {
        await Patience.UntilAsync(() => server.Refusals().Any(), "a connection is refused");
        await server.Pools.AllReturnedAsync();
        LogEntry entry = Assert.Single(server.Refusals());
        Assert.Equal(LogLevel.Debug, entry.Level);
        Assert.EndsWith($" from {peer} is closed: {reason}.", entry.Message, StringComparison.Ordinal);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    private static string EndPoint(IPAddress? address, int port) => address is null ? $":{port}" : new IPEndPoint(address, port).ToString();
}
