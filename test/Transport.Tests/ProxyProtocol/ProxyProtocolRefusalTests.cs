using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>Who is not served, and how that ends.</summary>
[OneMode]
public class ProxyProtocolRefusalTests
{
    private const string NotTrusted = "it is not trusted to send a PROXY header, and one is required";
    private const string NotTrustedButSent = "it is not trusted to send a PROXY header, and has sent one";
    private const string Ended = "it ended before its PROXY header was complete";
    private const string Late = "its PROXY header has not come in time";

    private static readonly byte[] Header = HeaderBytes.WithChecksum(HeaderBytes.Binary("192.0.2.1:56324", "198.51.100.2:443"));

    public static TheoryData<TransportKind, string, byte[]> Wrong
    {
        get
        {
            TheoryData<TransportKind, string, byte[]> data = [];
            foreach (TransportKind kind in Enum.GetValues<TransportKind>())
            {
                data.Add(kind, "it sent no PROXY header", Latin1(ProxyServer.Request));
                data.Add(kind, "it sent no PROXY header", "PROPFIND / HTTP/1.1\r\n\r\n"u8.ToArray());
                data.Add(kind, "it sent no PROXY header", new byte[100_000]);
                data.Add(kind, "it sent no PROXY header", [0x16, 0x03, 0x01]);
                data.Add(kind, "its text header is too long", [.. "PROXY UNKNOWN "u8, .. Enumerable.Repeat((byte)'x', 200_000)]);
                data.Add(kind, "the line of its text header does not end with CR LF", "PROXY UNKNOWN\n"u8.ToArray());
                data.Add(kind, "its text header is malformed", Latin1("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n" + ProxyServer.Request));
                data.Add(kind, "its binary header has an unknown version", [.. HeaderBytes.Signature, 0x31]);
                data.Add(kind, "its binary header has an unknown command", [.. HeaderBytes.Signature, 0x22]);
                data.Add(kind, "its binary header has an unknown address family or transport", [.. HeaderBytes.Signature, 0x21, 0x41]);
                data.Add(kind, "its binary header is too long", [.. HeaderBytes.Signature, 0x21, 0x11, 0xFF, 0xFF]);
                data.Add(kind, "its binary header is too short for its addresses", [.. HeaderBytes.Signature, 0x21, 0x11, 0, 11]);
                data.Add(
                    kind,
                    "a TLV of its binary header is cut off",
                    HeaderBytes.Binary(HeaderBytes.Proxy, HeaderBytes.Tcp4, HeaderBytes.Addresses("1.2.3.4:5", "1.2.3.4:5"), [4, 0]));
                data.Add(
                    kind,
                    "the checksum of its binary header is wrong",
                    [.. Header[..20], 0, .. Header[21..], .. Latin1(ProxyServer.Request)]);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task What_is_no_header_ends_the_connection_and_one_line_says_why(TransportKind kind, string reason, byte[] bytes)
    {
        await using TestServer server = await StartAsync(kind);
        using RawClient client = await server.ConnectAsync();
        EndPoint? peer = client.Socket.LocalEndPoint;

        await SendToTheEndAsync(client, bytes);

        await server.AssertRefusedAsync(peer, reason);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task So_does_a_header_that_is_cut_off(TransportKind kind)
    {
        byte[] text = HeaderBytes.Text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443");
        foreach (byte[] bytes in (byte[][])[[], Header[..1], Header[..12], Header[..16], Header[..^1], text[..3], text[..^1]])
        {
            await using TestServer server = await StartAsync(kind);
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync(bytes);
            client.ShutdownSend();

            Assert.Empty((await client.ReadToEndAsync()).Bytes);
            await server.AssertRefusedAsync(client.Socket.LocalEndPoint, Ended);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task So_does_one_that_takes_too_long(TransportKind kind)
    {
        foreach (byte[] bytes in (byte[][])[[], Header[..1], Header[..^1], "PROXY TCP4"u8.ToArray()])
        {
            foreach (bool required in (bool[])[true, false])
            {
                await using TestServer server = await StartAsync(kind, options =>
                {
                    options.Timeout = TimeSpan.FromMilliseconds(200);
                    options.Required = required;
                });
                using RawClient client = await server.ConnectAsync();
                await client.SendAsync(bytes);

                Assert.Empty((await client.ReadToEndAsync()).Bytes);
                await server.AssertRefusedAsync(client.Socket.LocalEndPoint, Late);
            }
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_byte_now_and_then_does_not_buy_time(TransportKind kind)
    {
        await using TestServer server = await StartAsync(kind, static options => options.Timeout = TimeSpan.FromMilliseconds(300));
        using RawClient client = await server.ConnectAsync();
        EndPoint? peer = client.Socket.LocalEndPoint;
        byte[] endless = [.. HeaderBytes.Signature, 0x21, 0x11, 0x0F, 0x00, .. new byte[0x0F00 - 1]];
        for (int i = 0; i < endless.Length && !server.Refusals().Any(); i++)
        {
            await SendToTheEndAsync(client, endless[i..(i + 1)], untilClosed: false);
            await Task.Delay(20);
        }

        await server.AssertRefusedAsync(peer, Late);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_client_that_resets_in_its_header_is_one_line(TransportKind kind)
    {
        await using TestServer server = await StartAsync(kind);
        using RawClient client = await server.ConnectAsync();
        EndPoint? peer = client.Socket.LocalEndPoint;
        await client.SendAsync(Header.AsMemory(0, 20));
        await Patience.UntilAsync(() => server.Pools.TotalRents > 0, "the server has read");
        client.Reset();

        await server.AssertRefusedAsync(peer, "the connection failed before its PROXY header was complete");
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Who_is_not_trusted_is_refused_before_anything_is_read(TransportKind kind)
    {
        await using TestServer server = await StartAsync(kind, TrustSomebodyElse);

        // The reset may be there before the client knows that it is connected: it has its address before.
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        EndPoint? peer = client.LocalEndPoint;
        try
        {
            await client.ConnectAsync(server.EndPoint).InTime();

            // It says nothing.
            Assert.Equal(0, await client.ReceiveAsync(new byte[1].AsMemory()).InTime());
        }
        catch (SocketException e)
        {
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        }

        await server.AssertRefusedAsync(peer, NotTrusted);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Where_no_header_is_required_one_is_still_refused_from_who_is_not_trusted(TransportKind kind)
    {
        byte[] text = HeaderBytes.Text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443");
        byte[] wrongVersion = [.. HeaderBytes.Signature, 0xFF];
        foreach (byte[] bytes in (byte[][])[text, text[..6], Header, Header[..12], wrongVersion, HeaderBytes.Text("PROXY nonsense")])
        {
            await using TestServer server = await StartAsync(kind, static options =>
            {
                TrustSomebodyElse(options);
                options.Required = false;
            });
            using RawClient client = await server.ConnectAsync();
            EndPoint? peer = client.Socket.LocalEndPoint;
            await SendToTheEndAsync(client, bytes);

            await server.AssertRefusedAsync(peer, NotTrustedButSent);
        }
    }

    [Theory]
    [InlineData(TransportKind.Sockets, true)]
    [InlineData(TransportKind.Sockets, false)]
    [InlineData(TransportKind.Netpoll, true)]
    [InlineData(TransportKind.Netpoll, false)]
    public async Task Where_no_header_is_required_a_connection_without_one_is_served_whoever_it_is(TransportKind kind, bool trusted)
    {
        await using TestServer server = await ProxyServer.StartAsync(kind, options =>
        {
            options.Required = false;
            if (!trusted)
            {
                TrustSomebodyElse(options);
            }
        });
        foreach (int cut in (int[])[0, 1, 2, 3, 10])
        {
            using RawClient client = await server.ConnectAsync();

            // These share their first bytes with a header.
            string request = "PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n";
            await client.SendAsync(request[..cut]);
            await Task.Delay(5);
            await client.SendAsync(request[cut..] + ProxyServer.Request);

            string expected = $"{client.Socket.LocalEndPoint} {server.EndPoint} none";
            Assert.Equal(expected, (await client.ReadResponseAsync()).Text);
            Assert.Equal(expected, (await client.ReadResponseAsync()).Text);
        }

        Assert.Empty(server.Refusals());
    }

    // Whose application must not be reached.
    internal static Task<TestServer> StartAsync(TransportKind kind, Action<ProxyProtocolOptions>? configure = null) =>
        ProxyServer.StartAsync(kind, configure, more: static setup =>
            setup.App = static _ => throw new InvalidOperationException("It was to be refused."));

    private static void TrustSomebodyElse(ProxyProtocolOptions options)
    {
        options.TrustedNetworks.Clear();
        options.TrustedNetworks.Add(IPNetwork.Parse("192.0.2.0/24"));
    }

    // The server may end the connection while it is being sent to.
    internal static async Task SendToTheEndAsync(RawClient client, byte[] bytes, bool untilClosed = true)
    {
        try
        {
            await client.SendAsync(bytes);
        }
        catch (System.Net.Sockets.SocketException)
        {
            return;
        }

        if (untilClosed)
        {
            Assert.Empty((await client.ReadToEndAsync()).Bytes);
        }
    }

    private static byte[] Latin1(string text) => Encoding.Latin1.GetBytes(text);
}
