using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Hosting;

[OneMode]
public class BindingTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_port_can_be_bound_again_right_after_a_stop(TransportKind kind)
    {
        int port = 0;
        for (int i = 0; i < 3; i++)
        {
            await using TestServer server = await TestServer.StartAsync(kind, setup => setup.Port = port);
            port = server.EndPoint.Port;

            // Ended by the server: its side of the connection stays behind in TIME_WAIT.
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
            Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
            await server.StopAsync();
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task An_address_in_use_is_reported_as_Kestrel_reports_it(TransportKind kind)
    {
        await using TestServer first = await TestServer.StartAsync(kind);

        IOException e = await Assert.ThrowsAsync<IOException>(() => TestServer.StartAsync(kind, setup => setup.Port = first.EndPoint.Port));

        Assert.Contains("address already in use", e.Message, StringComparison.Ordinal);
    }

    /// <summary>With SO_REUSEADDR two sockets can be bound to one address, and the second listen fails.</summary>
    [Fact]
    public async Task An_address_in_use_that_only_listen_notices_is_one_all_the_same() =>
        await Assert.ThrowsAsync<AddressInUseException>(() => TransportHarness.StartAsync(new ListenFails()));

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Another_failure_to_bind_stays_a_SocketException(TransportKind kind)
    {
        SocketException e = await Assert.ThrowsAsync<SocketException>(() =>
            TestServer.StartAsync(kind, setup => setup.Address = IPAddress.Parse("192.0.2.1")));

        Assert.Equal(SocketError.AddressNotAvailable, e.SocketErrorCode);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Localhost_means_both_loopback_addresses(TransportKind kind)
    {
        int port;
        await using (TestServer probe = await TestServer.StartAsync(kind))
        {
            port = probe.EndPoint.Port;
        }

        await using TestServer server = await TestServer.StartAsync(kind, setup => setup.Kestrel = options => options.ListenLocalhost(port));

        foreach (IPAddress address in (IPAddress[])[IPAddress.Loopback, IPAddress.IPv6Loopback])
        {
            using RawClient client = await RawClient.ConnectAsync(new IPEndPoint(address, port));
            await client.SendAsync(Request);
            Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Any_IP_is_dual_mode_and_shows_mapped_addresses(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Address = IPAddress.IPv6Any;
            setup.App = context => context.Response.WriteAsync(
                $"{context.Connection.LocalIpAddress}:{context.Connection.LocalPort} {context.Connection.RemoteIpAddress}:{context.Connection.RemotePort}");
        });

        using RawClient client4 = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, server.EndPoint.Port));
        await client4.SendAsync(Request);
        int port4 = ((IPEndPoint)client4.Socket.LocalEndPoint!).Port;
        Assert.Equal($"::ffff:127.0.0.1:{server.EndPoint.Port} ::ffff:127.0.0.1:{port4}", (await client4.ReadResponseAsync()).Text);

        using RawClient client6 = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.IPv6Loopback, server.EndPoint.Port));
        await client6.SendAsync(Request);
        int port6 = ((IPEndPoint)client6.Socket.LocalEndPoint!).Port;
        Assert.Equal($"::1:{server.EndPoint.Port} ::1:{port6}", (await client6.ReadResponseAsync()).Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Any_IPv4_shows_the_address_that_was_connected_to(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Address = IPAddress.Any;
            setup.App = context => context.Response.WriteAsync($"{context.Connection.LocalIpAddress}:{context.Connection.LocalPort}");
        });

        using RawClient client = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.Parse("127.0.0.2"), server.EndPoint.Port));
        await client.SendAsync(Request);
        Assert.Equal($"127.0.0.2:{server.EndPoint.Port}", (await client.ReadResponseAsync()).Text);
    }

    private sealed class ListenFails : SystemCalls
    {
        protected internal override SyscallResult ListenOnce(int fd, int backlog) => SyscallResult.Failure(Errno.EADDRINUSE);
    }
}
