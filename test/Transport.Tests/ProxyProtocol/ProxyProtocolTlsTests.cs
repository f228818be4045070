using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>A header in front of TLS, of HTTP/2, and of both.</summary>
public class ProxyProtocolTlsTests
{
    private const string Client = "192.0.2.1:56324";
    private const string Server = "198.51.100.2:443";

    public static TheoryData<TransportKind, string, bool, bool> Settings =>
        new MatrixTheoryData<TransportKind, string, bool, bool>(
            Enum.GetValues<TransportKind>(), ["1.1", "2.0"], [false, true], [false, true]);

    [Theory]
    [MemberData(nameof(Settings))]
    public async Task Requests_are_served_and_see_the_client(TransportKind kind, string version, bool tls, bool inPieces)
    {
        using X509Certificate2? certificate = tls ? TestCertificate.Create() : null;
        HttpProtocols protocols = version == "2.0" ? HttpProtocols.Http2 : HttpProtocols.Http1;
        await using TestServer server = await ProxyServer.StartAsync(kind, certificate: certificate, protocols: protocols);
        byte[] header = inPieces
            ? HeaderBytes.Text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443")
            : HeaderBytes.WithChecksum(HeaderBytes.Binary(Client, Server));
        async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
        {
            Stream stream = await HttpClients.ConnectAsync(server.EndPoint, cancellationToken);
            foreach (byte[] piece in inPieces ? header.Chunk(3) : [header])
            {
                await stream.WriteAsync(piece, cancellationToken);
            }

            return stream;
        }

        using HttpClient client = HttpClients.Create(
            server, version, certificate, handler => handler.ConnectCallback = ConnectAsync);
        string body = new('b', 100_000);
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage response = await client.PostAsync(new Uri("/", UriKind.Relative), new StringContent(body)).InTime();
            Assert.Equal(
                $"{Client} {Server} v{(inPieces ? 1 : 2)} Proxy {Client} {Server}{body}",
                await response.Content.ReadAsStringAsync().InTime());
        }

        Assert.Empty(server.Refusals());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_header_and_the_first_bytes_of_TLS_may_come_together(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await ProxyServer.StartAsync(kind, certificate: certificate);
        await using Stream socket = await HttpClients.ConnectAsync(server.EndPoint);
        await using var joined = new PrependingStream(socket, HeaderBytes.Binary(Client, Server));
        await using var ssl = new SslStream(joined, leaveInnerStreamOpen: true, HttpClients.Trusting(certificate));

        await ssl.AuthenticateAsClientAsync("localhost").InTime();
        await ssl.WriteAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray());
        using var reader = new StreamReader(ssl);

        string response = await reader.ReadToEndAsync().InTime();
        Assert.EndsWith($"\r\n\r\n{Client} {Server} v2 Proxy {Client} {Server}", response, StringComparison.Ordinal);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task TLS_without_a_header_is_refused_or_served_as_the_options_say(TransportKind kind)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        foreach (bool required in (bool[])[true, false])
        {
            await using TestServer server = await ProxyServer.StartAsync(kind, options => options.Required = required, certificate);
            using HttpClient client = HttpClients.Create(server, "1.1", certificate);
            if (required)
            {
                await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri("/", UriKind.Relative)).InTime());
                Assert.NotEmpty(server.Refusals());
            }
            else
            {
                Assert.EndsWith(" none", await client.GetStringAsync(new Uri("/", UriKind.Relative)).InTime(), StringComparison.Ordinal);
            }
        }
    }

    /// <summary>Sends some bytes together with the first that are written.</summary>
    private sealed class PrependingStream(Stream inner, byte[] first) : Stream
    {
        private byte[]? _first = first;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() => inner.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer, cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            byte[]? prefix = Interlocked.Exchange(ref _first, null);
            await inner.WriteAsync(prefix is null ? buffer : (byte[])[.. prefix, .. buffer.Span], cancellationToken);
        }
    }
}
