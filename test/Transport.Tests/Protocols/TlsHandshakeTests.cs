using System.Buffers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class TlsHandshakeTests
{
    [Theory]
    [InlineData(TransportKind.Sockets, "1.1", SslProtocols.Tls13)]
    [InlineData(TransportKind.Netpoll, "1.1", SslProtocols.Tls12)]
    [InlineData(TransportKind.Netpoll, "1.1", SslProtocols.Tls13)]
    [InlineData(TransportKind.Netpoll, "2.0", SslProtocols.Tls12)]
    [InlineData(TransportKind.Netpoll, "2.0", SslProtocols.Tls13)]
    public async Task A_client_may_send_every_byte_by_itself(TransportKind kind, string version, SslProtocols protocol)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate, https => https.SslProtocols = protocol);
        using HttpClient client = HttpClients.Create(server, version, certificate, handler =>
            handler.ConnectCallback = async (_, cancellationToken) => new TricklingStream(await HttpClients.ConnectAsync(server.EndPoint, cancellationToken)));

        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("Hello, World!", await client.GetStringAsync((Uri?)null).InTime());
        }

        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_ClientHello_is_shown_whole_however_it_comes(TransportKind kind)
    {
        var hello = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate, https =>
            https.TlsClientHelloBytesCallback = (_, bytes) => hello.TrySetResult(bytes.ToArray()));
        using HttpClient client = HttpClients.Create(server, "1.1", certificate, handler =>
            handler.ConnectCallback = async (_, cancellationToken) => new TricklingStream(await HttpClients.ConnectAsync(server.EndPoint, cancellationToken)));

        Assert.Equal("Hello, World!", await client.GetStringAsync((Uri?)null).InTime());

        // A record of handshake type (22) with the length that it announces, and in it a ClientHello (1) that names the host.
        byte[] record = await hello.Task.InTime();
        Assert.Equal(22, record[0]);
        Assert.Equal((record[3] << 8) + record[4] + 5, record.Length);
        Assert.Equal(1, record[5]);
        Assert.True(record.AsSpan().IndexOf("localhost"u8) > 0);
    }

    /// <summary>Of TLS 1.0, which the client's own library may refuse as well: then it leaves without a byte.</summary>
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_client_that_wants_another_protocol_is_logged_as_a_failed_authentication_and_not_above_Debug(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate);
        using (RawClient client = await server.ConnectAsync())
        {
            await using SslStream stream = new(new NetworkStream(client.Socket), leaveInnerStreamOpen: true);
#pragma warning disable SYSLIB0039, CA5397 // That is what nobody wants any more.
            await Assert.ThrowsAnyAsync<Exception>(() => stream.AuthenticateAsClientAsync(
                "127.0.0.1", clientCertificates: null, SslProtocols.Tls, checkCertificateRevocation: false)).InTime();
#pragma warning restore SYSLIB0039, CA5397
        }

        // Before the server stops: neither transport tells of a connection that it has not accepted yet, and whose client is gone.
        await Patience.UntilAsync(() => Logged().Any(), "the failure is logged");
        await server.StopAsync();
        LogEntry entry = Assert.Single(Logged());
        Assert.Equal((1, LogLevel.Debug), (entry.Id.Id, entry.Level));

        IEnumerable<LogEntry> Logged() =>
            server.Logs.Entries.Where(static entry => entry.Category.EndsWith("HttpsConnectionMiddleware", StringComparison.Ordinal));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_handshake_that_breaks_off_leaves_nothing_behind(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate);

        // A record of handshake type that promises 512 bytes and breaks off after 3.
        byte[] partOfRecord = [22, 3, 1, 2, 0, 1, 0, 1];
        foreach (byte[] sent in (byte[][])[[], [22], partOfRecord, [0, 0, 0, 0, 0, 0, 0, 0]])
        {
            using (RawClient leaving = await server.ConnectAsync())
            {
                await leaving.SendAsync(sent);
                leaving.ShutdownSend();
                await leaving.ReadToEndAsync();
            }

            using (RawClient resetting = await server.ConnectAsync())
            {
                await resetting.SendAsync(sent);
                resetting.Reset();
            }
        }

        await server.Pools.AllReturnedAsync();
        using HttpClient client = HttpClients.Create(server, "1.1", certificate);
        Assert.Equal("Hello, World!", await client.GetStringAsync((Uri?)null).InTime());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_client_that_stays_silent_is_sent_away(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate, https => https.HandshakeTimeout = TimeSpan.FromMilliseconds(100));
        using RawClient silent = await server.ConnectAsync();

        (byte[] bytes, _) = await silent.ReadToEndAsync();

        Assert.Empty(bytes);
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Versions_that_do_not_meet_end_in_an_alert(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate, https => https.SslProtocols = SslProtocols.Tls13);
        await using var stream = new SslStream(await HttpClients.ConnectAsync(server.EndPoint));

        await Assert.ThrowsAsync<AuthenticationException>(() => stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            EnabledSslProtocols = SslProtocols.Tls12,
            RemoteCertificateValidationCallback = HttpClients.Trusting(certificate),
        }).InTime());

        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    private static Task<TestServer> StartAsync(
        TransportKind kind, X509Certificate2 certificate, Action<HttpsConnectionAdapterOptions>? configure = null) =>
        TestServer.StartAsync(kind, setup => setup.Endpoint = options =>
        {
            options.Protocols = HttpProtocols.Http1AndHttp2;
            options.UseHttps(https =>
            {
                https.ServerCertificate = certificate;
                configure?.Invoke(https);
            });
        });
}
