using System.Net.Quic;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>HTTP/3 has a transport of its own, QUIC; an endpoint may have both.</summary>
public class Http3Tests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task An_endpoint_that_also_wants_HTTP3_serves_the_other_versions(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate);

        foreach ((string version, string protocol) in ((string, string)[])[("1.1", "HTTP/1.1"), ("2.0", "HTTP/2")])
        {
            using HttpClient client = HttpClients.Create(server, version, certificate);
            for (int i = 0; i < 3; i++)
            {
                Assert.Equal(protocol, await client.GetStringAsync((Uri?)null).InTime());
            }
        }

        Assert.Equal(kind == TransportKind.Netpoll, server.Factory is not null);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task HTTP3_is_served_on_the_same_port(TransportKind kind)
    {
        Assert.SkipUnless(QuicListener.IsSupported, "There is no QUIC here: the library msquic (libmsquic) is not installed.");
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate);
        using var handler = new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = HttpClients.Trusting(certificate) },
        };
        using var http3 = new HttpClient(handler)
        {
            DefaultRequestVersion = System.Net.HttpVersion.Version30,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using HttpClient http2 = HttpClients.Create(server, "2.0", certificate);

        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("HTTP/3", await http3.GetStringAsync(new Uri($"https://{server.EndPoint}/")).InTime());
            Assert.Equal("HTTP/2", await http2.GetStringAsync((Uri?)null).InTime());
        }
    }

    private static Task<TestServer> StartAsync(TransportKind kind, X509Certificate2 certificate) => TestServer.StartAsync(kind, setup =>
    {
        setup.Endpoint = options =>
        {
            options.Protocols = HttpProtocols.Http1AndHttp2AndHttp3;
            options.UseHttps(certificate);
        };
        setup.App = context => context.Response.WriteAsync(context.Request.Protocol);
    });
}
