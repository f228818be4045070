using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>Behind the proxy whose authors have made the protocol.</summary>
[OneMode]
public class HaproxyTests
{
    // Nobody else connects from there.
    private static readonly IPAddress ClientAddress = IPAddress.Parse("127.0.0.77");

    public static TheoryData<TransportKind, string, int> Senders => new()
    {
        { TransportKind.Sockets, "send-proxy", 1 },
        { TransportKind.Sockets, "send-proxy-v2", 2 },
        { TransportKind.Netpoll, "send-proxy", 1 },
        { TransportKind.Netpoll, "send-proxy-v2", 2 },
        { TransportKind.Netpoll, "send-proxy-v2 proxy-v2-options crc32c,authority,unique-id", 2 },
    };

    [Theory]
    [MemberData(nameof(Senders))]
    public async Task The_application_sees_the_client(TransportKind kind, string sender, int version)
    {
        ProxyProcess.RequireHaproxy();
        await using TestServer server = await ProxyServer.StartAsync(kind);
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(server.EndPoint, sender);
        for (int i = 0; i < 3; i++)
        {
            using Socket client = Connect(proxy.EndPoint, ClientAddress);

            string ends = $"{client.LocalEndPoint} {proxy.EndPoint}";
            Assert.Equal($"{ends} v{version} Proxy {ends}", await AskAsync(client));
        }

        AssertQuiet(server);
    }

    [Theory]
    [InlineData("send-proxy", 1)]
    [InlineData("send-proxy-v2", 2)]
    public async Task Also_with_IPv6(string sender, int version)
    {
        ProxyProcess.RequireHaproxy();
        Assert.SkipUnless(Socket.OSSupportsIPv6, "There is no IPv6 here.");
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll);
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(server.EndPoint, sender, address: IPAddress.IPv6Loopback);
        using Socket client = Connect(proxy.EndPoint, IPAddress.IPv6Loopback);

        string ends = $"{client.LocalEndPoint} {proxy.EndPoint}";
        Assert.Equal($"{ends} v{version} Proxy {ends}", await AskAsync(client));
        AssertQuiet(server);
    }

    [Theory]
    [InlineData("send-proxy", "v1 Proxy - -")]
    [InlineData("send-proxy-v2", "v2 Local - -")]
    public async Task A_client_on_a_Unix_socket_has_no_address(string sender, string header)
    {
        ProxyProcess.RequireHaproxy();
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll);
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(
            server.EndPoint, sender, "bind FRONT\n    bind unix@" + ProxyProcess.UnixSocketIn("FOLDER"));
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(proxy.UnixSocket));

        Assert.Contains(header, await AskAsync(client), StringComparison.Ordinal);
        AssertQuiet(server);
    }

    [Theory]
    [InlineData(TransportKind.Sockets, "send-proxy", "1.1")]
    [InlineData(TransportKind.Sockets, "send-proxy-v2", "2.0")]
    [InlineData(TransportKind.Netpoll, "send-proxy", "1.1")]
    [InlineData(TransportKind.Netpoll, "send-proxy", "2.0")]
    [InlineData(TransportKind.Netpoll, "send-proxy-v2", "1.1")]
    [InlineData(TransportKind.Netpoll, "send-proxy-v2", "2.0")]
    public async Task TLS_passes_through(TransportKind kind, string sender, string version)
    {
        ProxyProcess.RequireHaproxy();
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await ProxyServer.StartAsync(kind, certificate: certificate);
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(server.EndPoint, sender);
        EndPoint? from = null;
        using HttpClient client = HttpClients.Create(server, version, certificate, handler => handler.ConnectCallback = (_, _) =>
        {
            Socket socket = Connect(proxy.EndPoint, ClientAddress);
            from = socket.LocalEndPoint;
            return ValueTask.FromResult<Stream>(new NetworkStream(socket, ownsSocket: true));
        });
        string body = new('b', 200_000);
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage response = await client.PostAsync(new Uri("/", UriKind.Relative), new StringContent(body)).InTime();
            Assert.Equal(version, response.Version.ToString());
            Assert.StartsWith($"{from} {proxy.EndPoint} ", await response.Content.ReadAsStringAsync().InTime(), StringComparison.Ordinal);
        }

        AssertQuiet(server);
    }

    [Fact]
    public async Task HTTP_2_in_clear_text_passes_through()
    {
        ProxyProcess.RequireHaproxy();
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll, protocols: HttpProtocols.Http2);
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(server.EndPoint, "send-proxy-v2 proxy-v2-options crc32c");
        EndPoint? from = null;
        using HttpClient client = HttpClients.Create(server, "2.0", configure: handler => handler.ConnectCallback = (_, _) =>
        {
            Socket socket = Connect(proxy.EndPoint, ClientAddress);
            from = socket.LocalEndPoint;
            return ValueTask.FromResult<Stream>(new NetworkStream(socket, ownsSocket: true));
        });

        string[] answers = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => client.GetStringAsync(new Uri("/", UriKind.Relative)))).InTime();

        Assert.All(answers, answer => Assert.StartsWith($"{from} {proxy.EndPoint} v2 Proxy ", answer, StringComparison.Ordinal));
        AssertQuiet(server);
    }

    [Fact]
    public async Task Where_it_ends_TLS_it_says_what_the_client_has_used()
    {
        ProxyProcess.RequireHaproxy();
        using X509Certificate2 certificate = TestCertificate.Create("x.test");
        ProxyProtocolTlvs seen = default;
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll, more: setup => setup.App = context =>
        {
            seen = context.Features.Get<IProxyProtocolFeature>()!.Tlvs;
            return ProxyServer.DescribeAsync(context);
        });
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(
            server.EndPoint,
            "send-proxy-v2-ssl-cn proxy-v2-options crc32c,ssl,ssl-cipher,authority,unique-id",
            "bind FRONT ssl crt FOLDER/proxy.pem alpn http/1.1\n    unique-id-format \"id-%cp\"",
            prepare: folder => WritePem(certificate, Path.Combine(folder, "proxy.pem")));
        using Socket client = Connect(proxy.EndPoint, ClientAddress);
        await using var tls = new SslStream(new NetworkStream(client), leaveInnerStreamOpen: false, HttpClients.Trusting(certificate));
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "x.test",
            ApplicationProtocols = [SslApplicationProtocol.Http11],
        }).InTime();

        Assert.StartsWith($"{client.LocalEndPoint} {proxy.EndPoint} v2 Proxy ", await AskAsync(tls), StringComparison.Ordinal);

        Assert.Equal("http/1.1", Text(seen, ProxyProtocolTlvType.Alpn));
        Assert.Equal("x.test", Text(seen, ProxyProtocolTlvType.Authority));
        Assert.Equal($"id-{((IPEndPoint)client.LocalEndPoint!).Port}", Text(seen, ProxyProtocolTlvType.UniqueId));
        Assert.True(seen.TryGetValue(ProxyProtocolTlvType.Checksum, out _));
        Assert.True(seen.TryGetTls(out ProxyProtocolTls used));
        Assert.Equal(ProxyProtocolTlsClient.Tls, used.Client);
        Assert.StartsWith("TLSv1.", Text(used.Details, ProxyProtocolTlvType.TlsVersion), StringComparison.Ordinal);
        Assert.NotEmpty(Text(used.Details, ProxyProtocolTlvType.TlsCipher));
        AssertQuiet(server);
    }

    [Theory]
    [InlineData("send-proxy-v2")]
    [InlineData("send-proxy-v2 proxy-v2-options crc32c")]
    public async Task Its_health_checks_are_its_own(string sender)
    {
        ProxyProcess.RequireHaproxy();
        ConcurrentQueue<string> checks = new();
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll, more: setup => setup.App = context =>
        {
            IProxyProtocolFeature feature = context.Features.Get<IProxyProtocolFeature>()!;
            ConnectionInfo ends = context.Connection;
            bool isProxy = new IPEndPoint(ends.RemoteIpAddress!, ends.RemotePort).Equals(feature.SocketRemoteEndPoint);
            checks.Enqueue($"{context.Request.Path} {feature.Command} {ends.LocalPort} {isProxy}");
            return context.Response.WriteAsync("well");
        });
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(
            server.EndPoint, $"{sender} check check-send-proxy inter 50", "bind FRONT\n    option httpchk GET /health");

        await Patience.UntilAsync(() => checks.Count >= 3, "there have been health checks");

        Assert.All(checks, check => Assert.Equal($"/health Local {server.EndPoint.Port} True", check));
        Assert.Empty(server.Refusals());
    }

    [Fact]
    public async Task Two_proxies_in_a_row_pass_the_client_on()
    {
        ProxyProcess.RequireHaproxy();
        await using TestServer server = await ProxyServer.StartAsync(TransportKind.Netpoll);
        await using ProxyProcess second = await ProxyProcess.StartHaproxyAsync(server.EndPoint, "send-proxy-v2", "bind FRONT accept-proxy");
        await using ProxyProcess first = await ProxyProcess.StartHaproxyAsync(second.EndPoint, "send-proxy");
        using Socket client = Connect(first.EndPoint, ClientAddress);

        Assert.Equal($"{client.LocalEndPoint} {first.EndPoint} v2 Proxy {client.LocalEndPoint} {first.EndPoint}", await AskAsync(client));
    }

    private static Socket Connect(IPEndPoint proxy, IPAddress from)
    {
        var socket = new Socket(proxy.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Bind(new IPEndPoint(from, 0));
        socket.Connect(proxy);
        return socket;
    }

    private static async Task<string> AskAsync(Socket client)
    {
        await using var stream = new NetworkStream(client, ownsSocket: false);
        return await AskAsync(stream);
    }

    private static async Task<string> AskAsync(Stream stream)
    {
        await stream.WriteAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray());
        using var reader = new StreamReader(stream, leaveOpen: true);
        string response = await reader.ReadToEndAsync().InTime();
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", response, StringComparison.Ordinal);
        return response[(response.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
    }

    private static string Text(ProxyProtocolTlvs tlvs, ProxyProtocolTlvType type)
    {
        Assert.True(tlvs.TryGetValue(type, out ReadOnlyMemory<byte> value), $"There is no {type}.");
        return Encoding.UTF8.GetString(value.Span);
    }

    private static void WritePem(X509Certificate2 certificate, string path)
    {
        using ECDsa key = certificate.GetECDsaPrivateKey()!;
        File.WriteAllText(path, $"{certificate.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n");
    }

    private static void AssertQuiet(TestServer server)
    {
        Assert.Empty(server.Refusals());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }
}
