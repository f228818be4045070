using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>Behind nginx's stream module, which speaks version 1.</summary>
[OneMode]
public class NginxTests
{
    private static readonly IPAddress ClientAddress = IPAddress.Parse("127.0.0.78");

    [Theory]
    [ClassData(typeof(TransportsAndVersions))]
    public async Task TLS_passes_through(TransportKind kind, string version)
    {
        await ProxyProcess.RequireNginxAsync();
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await ProxyServer.StartAsync(kind, certificate: certificate);
        await using ProxyProcess proxy = await ProxyProcess.StartNginxAsync(server.EndPoint, "proxy_protocol on;");

        await AskAsync(server, proxy, version, certificate, ClientAddress);
    }

    [Fact]
    public async Task Clear_text_passes_through()
    {
        await ProxyProcess.RequireNginxAsync();
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll);
        await using ProxyProcess proxy = await ProxyProcess.StartNginxAsync(server.EndPoint, "proxy_protocol on;");

        await AskAsync(server, proxy, "1.1", null, ClientAddress);
    }

    [Fact]
    public async Task Where_it_begins_TLS_itself_its_header_comes_before_that()
    {
        await ProxyProcess.RequireNginxAsync();
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll, certificate: certificate);
        await using ProxyProcess proxy = await ProxyProcess.StartNginxAsync(server.EndPoint, "proxy_protocol on;\nproxy_ssl on;");

        await AskAsync(server, proxy, "1.1", null, ClientAddress);
    }

    [Fact]
    public async Task Also_with_IPv6()
    {
        await ProxyProcess.RequireNginxAsync();
        Assert.SkipUnless(Socket.OSSupportsIPv6, "There is no IPv6 here.");
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll);
        await using ProxyProcess proxy = await ProxyProcess.StartNginxAsync(server.EndPoint, "proxy_protocol on;", IPAddress.IPv6Loopback);

        await AskAsync(server, proxy, "1.1", null, IPAddress.IPv6Loopback);
    }

    private static async Task AskAsync(TestServer server, ProxyProcess proxy, string version, X509Certificate2? certificate, IPAddress from)
    {
        EndPoint? local = null;
        using HttpClient client = HttpClients.Create(server, version, certificate, handler => handler.ConnectCallback = (_, _) =>
        {
            var socket = new Socket(from.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Bind(new IPEndPoint(from, 0));
            socket.Connect(proxy.EndPoint);
            local = socket.LocalEndPoint;
            return ValueTask.FromResult<Stream>(new NetworkStream(socket, ownsSocket: true));
        });
        string body = new('b', 200_000);
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage response = await client.PostAsync(new Uri("/", UriKind.Relative), new StringContent(body)).InTime();
            Assert.Equal(
                $"{local} {proxy.EndPoint} v1 Proxy {local} {proxy.EndPoint}{body}", await response.Content.ReadAsStringAsync().InTime());
        }

        Assert.Empty(server.Refusals());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }
}
