using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>What a server decides during the handshake: its certificate by name, the protocol by ALPN, whether the client must show a certificate.</summary>
public class TlsSelectionTests
{
    [Theory]
    [ClassData(typeof(TransportsAndVersions))]
    public async Task The_name_selects_the_certificate(TransportKind kind, string version)
    {
        using X509Certificate2 first = TestCertificate.Create("first.test");
        using X509Certificate2 second = TestCertificate.Create("second.test");
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options =>
            {
                options.Protocols = HttpProtocols.Http1AndHttp2;
                options.UseHttps(
                    async (_, hello, _, _) =>
                    {
                        await Task.Yield();
                        return new SslServerAuthenticationOptions { ServerCertificate = hello.ServerName == "first.test" ? first : second };
                    },
                    state: new object());
            };
            setup.App = context => context.Response.WriteAsync(context.Request.Protocol);
        });

        foreach ((string name, X509Certificate2 certificate) in ((string, X509Certificate2)[])[("first.test", first), ("second.test", second)])
        {
            using HttpClient trusting = HttpClients.Create(server, version, certificate);
            Assert.Equal(version == "2.0" ? "HTTP/2" : "HTTP/1.1", await trusting.GetStringAsync(UriOf(server, name)).InTime());

            using HttpClient other = HttpClients.Create(server, version, ReferenceEquals(certificate, first) ? second : first);
            await Assert.ThrowsAsync<HttpRequestException>(() => other.GetStringAsync(UriOf(server, name)).InTime());
        }
    }

    [Theory]
    [InlineData(TransportKind.Sockets, SslProtocols.Tls13, ClientCertificateMode.RequireCertificate)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls12, ClientCertificateMode.RequireCertificate)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls13, ClientCertificateMode.RequireCertificate)]
    [InlineData(TransportKind.Sockets, SslProtocols.Tls12, ClientCertificateMode.DelayCertificate)]
    [InlineData(TransportKind.Sockets, SslProtocols.Tls13, ClientCertificateMode.DelayCertificate)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls12, ClientCertificateMode.DelayCertificate)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls13, ClientCertificateMode.DelayCertificate)]
    public async Task A_client_shows_its_certificate_at_the_handshake_or_when_asked_later(
        TransportKind kind, SslProtocols protocol, ClientCertificateMode mode)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        using X509Certificate2 clientCertificate = TestCertificate.Create("client");
        await using TestServer server = await StartAsync(kind, certificate, https => (https.SslProtocols, https.ClientCertificateMode) = (protocol, mode));
        using HttpClient client = HttpClients.Create(server, "1.1", certificate, handler =>
            handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => clientCertificate);

        for (int i = 0; i < 3; i++)
        {
            string expected = mode == ClientCertificateMode.DelayCertificate && i == 0 ? "none, then CN=client" : "CN=client, then CN=client";
            Assert.Equal(expected, await client.GetStringAsync((Uri?)null).InTime());
        }
    }

    [Theory]
    [InlineData(TransportKind.Sockets, SslProtocols.Tls13)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls12)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls13)]
    public async Task A_client_without_the_certificate_that_is_required_is_refused(TransportKind kind, SslProtocols protocol)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(
            kind, certificate, https => (https.SslProtocols, https.ClientCertificateMode) = (protocol, ClientCertificateMode.RequireCertificate));
        using HttpClient client = HttpClients.Create(server, "1.1", certificate);

        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync((Uri?)null).InTime());

        await server.Pools.AllReturnedAsync();
    }

    private static Task<TestServer> StartAsync(
        TransportKind kind, X509Certificate2 certificate, Action<HttpsConnectionAdapterOptions> configure) =>
        TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options =>
            {
                options.Protocols = HttpProtocols.Http1;
                options.UseHttps(https =>
                {
                    https.ServerCertificate = certificate;
                    https.AllowAnyClientCertificate();
                    configure(https);
                });
            };
            setup.App = async context =>
            {
                string before = context.Connection.ClientCertificate?.Subject ?? "none";
                X509Certificate2? shown = await context.Connection.GetClientCertificateAsync();
                await context.Response.WriteAsync($"{before}, then {shown?.Subject}");
            };
        });

    private static Uri UriOf(TestServer server, string name) => new($"https://{name}:{server.EndPoint.Port}/");
}
