using System.Globalization;
using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>Headers in front of HTTP, on each transport.</summary>
public class ProxyProtocolServerTests
{
    private const string Client = "192.0.2.1:56324";
    private const string Server = "198.51.100.2:443";

    public static TheoryData<TransportKind, byte[], string> Headers
    {
        get
        {
            TheoryData<TransportKind, byte[], string> data = [];
            foreach (TransportKind kind in Enum.GetValues<TransportKind>())
            {
                data.Add(
                    kind,
                    HeaderBytes.Text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443"),
                    $"{Client} {Server} v1 Proxy {Client} {Server}");
                data.Add(
                    kind,
                    HeaderBytes.Text("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443"),
                    "[2001:db8::1]:56324 [2001:db8::2]:443 v1 Proxy [2001:db8::1]:56324 [2001:db8::2]:443");
                data.Add(kind, HeaderBytes.Text("PROXY UNKNOWN"), "SOCKET v1 Proxy - -");
                data.Add(
                    kind,
                    HeaderBytes.WithChecksum(HeaderBytes.Binary(Client, Server)),
                    $"{Client} {Server} v2 Proxy {Client} {Server}");
                data.Add(
                    kind,
                    HeaderBytes.Binary("[2001:db8::1]:1", "[2001:db8::2]:2"),
                    "[2001:db8::1]:1 [2001:db8::2]:2 v2 Proxy [2001:db8::1]:1 [2001:db8::2]:2");
                data.Add(kind, HeaderBytes.Binary(HeaderBytes.Local, 0), "SOCKET v2 Local - -");
                data.Add(
                    kind,
                    HeaderBytes.Binary(0x21, 0x31, HeaderBytes.UnixAddress("/a"), HeaderBytes.UnixAddress("/b")),
                    ":0 :0 v2 Proxy /a /b");

                // As long as a header may be.
                data.Add(
                    kind,
                    HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(4, new byte[4096 - 16 - 12 - 3])),
                    $"{Client} {Server} v2 Proxy {Client} {Server}");
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Headers))]
    public async Task The_application_sees_the_client_that_the_proxy_names(TransportKind kind, byte[] header, string expected)
    {
        await using TestServer server = await ProxyServer.StartAsync(kind);
        using RawClient proxy = await server.ConnectAsync();
        expected = expected.Replace("SOCKET", $"{proxy.Socket.LocalEndPoint} {server.EndPoint}", StringComparison.Ordinal);

        // Two requests come with the header, and a third after them.
        await proxy.SendAsync((byte[])[.. header, .. Latin1(ProxyServer.Request + ProxyServer.Request)]);
        Assert.Equal(expected, (await proxy.ReadResponseAsync()).Text);
        Assert.Equal(expected, (await proxy.ReadResponseAsync()).Text);
        await proxy.SendAsync(ProxyServer.Request);
        Assert.Equal(expected, (await proxy.ReadResponseAsync()).Text);
        Assert.Empty(server.Refusals());
    }

    [Theory]
    [MemberData(nameof(Headers))]
    public async Task A_header_may_come_in_single_bytes(TransportKind kind, byte[] header, string expected)
    {
        await using TestServer server = await ProxyServer.StartAsync(kind);
        using RawClient proxy = await server.ConnectAsync();
        expected = expected.Replace("SOCKET", $"{proxy.Socket.LocalEndPoint} {server.EndPoint}", StringComparison.Ordinal);
        byte[] all = [.. header, .. Latin1(ProxyServer.Request)];
        for (int i = 0; i < all.Length; i++)
        {
            await proxy.SendAsync(all.AsMemory(i, 1));

            // The longest one not with a pause everywhere.
            if (i < 300)
            {
                await Task.Yield();
            }
        }

        Assert.Equal(expected, (await proxy.ReadResponseAsync()).Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_body_behind_it_arrives_whole_wherever_it_is_cut(TransportKind kind)
    {
        await using TestServer server = await ProxyServer.StartAsync(kind);
        byte[] header = HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(4, new byte[10]));
        string body = string.Concat(Enumerable.Range(0, 20_000).Select(static i => i.ToString("x4", CultureInfo.InvariantCulture)));
        byte[] all = [.. header, .. Latin1($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {body.Length}\r\n\r\n{body}")];
        int end = header.Length;
        foreach (int cut in (int[])[1, 12, 16, 28, end - 1, end, end + 1, end + 100, 5_000, all.Length])
        {
            using RawClient proxy = await server.ConnectAsync();
            await proxy.SendAsync(all.AsMemory(0, cut));
            await Task.Delay(5);
            await proxy.SendAsync(all.AsMemory(cut));

            Assert.Equal($"{Client} {Server} v2 Proxy {Client} {Server}{body}", (await proxy.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_header_longer_than_the_read_buffer_is_read(TransportKind kind)
    {
        await using TestServer server = await ProxyServer.StartAsync(kind, static options => options.MaxHeaderLength = 65551, more: setup =>
        {
            setup.Kestrel = static options => options.Limits.MaxRequestBufferSize = 32 * 1024;
            setup.Netpoll = static options => options.MaxReadBufferSize = 8 * 1024;
        });
        using RawClient proxy = await server.ConnectAsync();
        byte[] header = HeaderBytes.WithChecksum(HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(0xE0, new byte[65_000])));

        await proxy.SendAsync((byte[])[.. header, .. Latin1(ProxyServer.Request)]);

        Assert.Equal($"{Client} {Server} v2 Proxy {Client} {Server}", (await proxy.ReadResponseAsync()).Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task On_a_dual_mode_listener_a_proxy_of_IPv4_is_trusted_too(TransportKind kind)
    {
        await using TestServer server = await ProxyServer.StartAsync(kind, more: static setup => setup.Address = IPAddress.IPv6Any);
        using RawClient proxy = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, server.EndPoint.Port));

        await proxy.SendAsync((byte[])[.. HeaderBytes.Binary(Client, Server), .. Latin1(ProxyServer.Request)]);

        Assert.Equal($"{Client} {Server} v2 Proxy {Client} {Server}", (await proxy.ReadResponseAsync()).Text);
    }

    [Theory]
    [InlineData(TransportKind.Sockets, true)]
    [InlineData(TransportKind.Sockets, false)]
    [InlineData(TransportKind.Netpoll, true)]
    [InlineData(TransportKind.Netpoll, false)]
    public async Task On_a_Unix_socket_the_peer_is_trusted_if_the_option_says_so(TransportKind kind, bool trusted)
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("netpoll");
        try
        {
            string path = Path.Combine(directory.FullName, "server.sock");
            await using TestServer server = await ProxyServer.StartAsync(kind, more: setup => setup.Kestrel = options =>
                options.ListenUnixSocket(path, endpoint =>
                {
                    endpoint.Protocols = HttpProtocols.Http1;
                    endpoint.UseProxyProtocol(proxy => proxy.TrustUnixSockets = trusted);
                }));
            using RawClient proxy = await RawClient.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(path));

            if (trusted)
            {
                await proxy.SendAsync((byte[])[.. HeaderBytes.Binary(Client, Server), .. Latin1(ProxyServer.Request)]);
                Assert.Equal($"{Client} {Server} v2 Proxy {Client} {Server}", (await proxy.ReadResponseAsync()).Text);
            }
            else
            {
                await server.AssertRefusedAsync(null, "it is not trusted to send a PROXY header, and one is required");
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_connection_handler_gets_every_byte_behind_it(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, static setup => setup.Endpoint = static endpoint =>
        {
            endpoint.UseProxyProtocol();
            endpoint.Run(static async connection =>
            {
                await connection.Transport.Output.WriteAsync(Latin1($"{connection.RemoteEndPoint} {connection.LocalEndPoint}\n"));
                await connection.Transport.Input.CopyToAsync(connection.Transport.Output);
            });
        });
        using RawClient proxy = await server.ConnectAsync();
        byte[] bytes = new byte[200_000];
        new Random(1).NextBytes(bytes);

        Task sending = proxy.SendAsync((byte[])[.. HeaderBytes.Text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443"), .. bytes]);
        Assert.Equal($"{Client} {Server}", await proxy.ReadLineAsync());
        Assert.Equal(bytes, await proxy.ReadExactlyAsync(bytes.Length));
        await sending;
        proxy.ShutdownSend();
        Assert.Equal(PeerEnd.Fin, (await proxy.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    private static byte[] Latin1(string text) => System.Text.Encoding.Latin1.GetBytes(text);
}
