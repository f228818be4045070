using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class TlsTests
{
    [Theory]
    [InlineData(TransportKind.Sockets, SslProtocols.Tls13, "1.1")]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls12, "1.1")]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls13, "1.1")]
    [InlineData(TransportKind.Sockets, SslProtocols.Tls13, "2.0")]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls12, "2.0")]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls13, "2.0")]
    public async Task Https_serves_small_and_large_bodies(TransportKind kind, SslProtocols protocol, string version)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options =>
            {
                options.Protocols = HttpProtocols.Http1AndHttp2;
                options.UseHttps(https => (https.ServerCertificate, https.SslProtocols) = (certificate, protocol));
            };
            setup.App = async context =>
            {
                context.Response.Headers["X-Protocol"] = context.Request.Protocol;

                // HttpClient reads the response after it has sent the request.
                using var body = new MemoryStream();
                await context.Request.Body.CopyToAsync(body);
                await context.Response.Body.WriteAsync(body.ToArray());
            };
        });
        using HttpClient client = CreateClient(Version.Parse(version), certificate);
        var uri = new Uri($"https://localhost:{server.EndPoint.Port}/");

        foreach (int size in (int[])[0, 1, 20_000, 3_000_000])
        {
            byte[] body = RandomNumberGenerator.GetBytes(size);
            using HttpResponseMessage response = await client.PostAsync(uri, new ByteArrayContent(body)).InTime();
            byte[] echoed = await response.Content.ReadAsByteArrayAsync().InTime();
            Assert.True(body.AsSpan().SequenceEqual(echoed));
            Assert.Equal(version == "2.0" ? "HTTP/2" : "HTTP/1.1", response.Headers.GetValues("X-Protocol").Single());
        }

        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Something_that_is_not_TLS_is_refused_quietly(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await TestServer.StartAsync(
            kind, setup => setup.Endpoint = options => options.UseHttps(certificate));
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

        await client.ReadToEndAsync();
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    private static HttpClient CreateClient(Version version, X509Certificate2 certificate) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, presented, _, _) => presented?.GetCertHashString() == certificate.GetCertHashString() },
        ConnectCallback = static async (context, cancellationToken) =>
        {
            var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellationToken);
            return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
        },
    })
    {
        DefaultRequestVersion = version,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };
}
