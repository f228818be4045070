using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Connections;

[OneMode]
public class ConnectionInformationTests
{
    [Fact]
    public async Task The_peer_of_a_Unix_socket_has_credentials()
    {
        var endPoint = new UnixDomainSocketEndPoint($"\0{Guid.NewGuid()}");
        await using TransportHarness harness = await TransportHarness.StartAsync(endPoint: endPoint);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;
        IUnixPeerCredentialsFeature feature = connection.Features.Get<IUnixPeerCredentialsFeature>()!;
        string[] status = File.ReadAllLines("/proc/self/status");

        var expected = new UnixPeerCredentials(Environment.ProcessId, Effective("Uid:"), Effective("Gid:"));
        Assert.Equal(expected, feature.GetPeerCredentials());
        Assert.Null(connection.Features.Get<ITcpInfoFeature>());

        // Once asked, it is known.
        await connection.DisposeAsync().InTime();
        Assert.Equal(expected, feature.GetPeerCredentials());

        uint Effective(string line) => uint.Parse(
            status.First(text => text.StartsWith(line, StringComparison.Ordinal)).Split('\t')[2], CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Of_a_connection_that_has_ended_unasked_nothing_is_known()
    {
        var endPoint = new UnixDomainSocketEndPoint($"\0{Guid.NewGuid()}");
        await using TransportHarness harness = await TransportHarness.StartAsync(endPoint: endPoint);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;
        await connection.DisposeAsync().InTime();

        Assert.Null(connection.Features.Get<IUnixPeerCredentialsFeature>()!.GetPeerCredentials());
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task A_TCP_connection_knows_what_the_kernel_has_measured(string address)
    {
        Assert.SkipUnless(address != "::1" || Socket.OSSupportsIPv6, "There is no IPv6 here.");
        await using TransportHarness harness = await TransportHarness.StartAsync(endPoint: new IPEndPoint(IPAddress.Parse(address), 0));
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;
        ITcpInfoFeature feature = connection.Features.Get<ITcpInfoFeature>()!;
        await connection.Transport.Output.WriteAsync(new byte[100_000]).InTime();
        await client.ReadExactlyAsync(100_000);
        await Patience.UntilAsync(
            () => feature.GetTcpInfo() is { UnacknowledgedSegments: 0, UnsentBytes: 0 or null }, "everything has been acknowledged");

        TcpInfo info = feature.GetTcpInfo()!.Value;

        Assert.InRange(info.RoundTripTime, TimeSpan.FromMicroseconds(1), TimeSpan.FromSeconds(10));
        Assert.InRange(info.RoundTripTimeVariation, TimeSpan.Zero, TimeSpan.FromSeconds(10));
        Assert.InRange(info.SegmentSize, 500, 70_000);
        Assert.InRange(info.CongestionWindow, 1, 1_000_000);
        Assert.Equal(0, info.LostSegments);
        Assert.True(info.BytesAcknowledged is null or >= 100_000);
        Assert.True(info.DeliveryRate is null or > 0);
        Assert.Null(connection.Features.Get<IUnixPeerCredentialsFeature>());
        await connection.DisposeAsync().InTime();
        Assert.Null(feature.GetTcpInfo());
    }

    [Fact]
    public async Task What_the_peer_has_not_acknowledged_shows()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        client.Socket.ReceiveBufferSize = 5_000;
        Task filling = connection.Transport.Output.WriteAsync(new byte[20_000_000]).AsTask();
        ITcpInfoFeature feature = connection.Features.Get<ITcpInfoFeature>()!;

        await Patience.UntilAsync(
            () => feature.GetTcpInfo() is { UnsentBytes: > 0 } or { UnacknowledgedSegments: > 0 }, "something waits for the peer");

        client.Reset();
        await filling.InTime();
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public void A_kernel_that_knows_less_leaves_out_what_it_does_not_know()
    {
        byte[] bytes = new byte[TcpMeasurements.Length];
        for (int i = 0; i < bytes.Length; i += sizeof(uint))
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(i), i);
        }

        for (int length = 0; length <= bytes.Length; length++)
        {
            TcpInfo info = NetpollConnection.ToTcpInfo(TcpMeasurements.From(bytes.AsSpan(0, length)));

            Assert.Equal(length >= 72 ? TimeSpan.FromMicroseconds(68) : default, info.RoundTripTime);
            Assert.Equal(length >= 104 ? 100 : 0, info.Retransmits);
            Assert.Equal(length >= 128, info.BytesAcknowledged is not null);
            Assert.Equal(length >= 148, info.UnsentBytes is not null);
            Assert.Equal(length >= 152, info.MinRoundTripTime is not null);
            Assert.Equal(length >= 168, info.DeliveryRate is not null);
            Assert.Equal(length >= 216, info.BytesRetransmitted is not null);
        }
    }

    [Fact]
    public void What_was_not_measured_is_no_time()
    {
        byte[] bytes = new byte[TcpMeasurements.Length];
        bytes.AsSpan(TcpMeasurements.MinRttOffset, sizeof(uint)).Fill(0xFF);

        Assert.Null(NetpollConnection.ToTcpInfo(TcpMeasurements.From(bytes)).MinRoundTripTime);
    }

    [Fact]
    public async Task Requests_find_them()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static context =>
            context.Response.WriteAsync($"{context.Features.Get<ITcpInfoFeature>()!.GetTcpInfo()!.Value.SegmentSize > 0}"));
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

        Assert.Equal("True", (await client.ReadResponseAsync()).Text);
    }
}
