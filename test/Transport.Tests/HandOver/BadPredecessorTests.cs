using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.HandOver;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>Whatever listens at the path: a process that starts serves, or does not start, or stops.</summary>
[OneMode]
public sealed class BadPredecessorTests : IDisposable
{
    private readonly HandOverPlace _place = new();
    private readonly Socket _atPath = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public BadPredecessorTests()
    {
        _atPath.Bind(new UnixDomainSocketEndPoint(_place.Path));
        _atPath.Listen();
    }

    public void Dispose()
    {
        _atPath.Dispose();
        _place.Dispose();
    }

    [Theory]
    [InlineData("?", "makes no sense")]
    [InlineData("X", "goes on serving: because")]
    [InlineData("W?", "makes no sense")]
    [InlineData("WX", "goes on serving: because")]
    public async Task One_that_refuses_or_makes_no_sense_keeps_the_new_one_from_starting(string answers, string because)
    {
        Task<TestServer> starting = _place.StartAsync();
        using RawPeer peer = await AcceptAsync();
        foreach (char answer in answers)
        {
            await peer.ReceiveAsync();
            peer.Send(answer, "because");
        }

        IOException e = await Assert.ThrowsAsync<IOException>(() => starting);
        Assert.Contains(because, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("W")]
    public async Task One_that_says_nothing_keeps_it_from_starting(string answers)
    {
        Task<TestServer> starting = _place.StartAsync(
            times: new HandOverTimes { Session = TimeSpan.FromSeconds(1), Exchange = TimeSpan.FromSeconds(1) });
        using RawPeer peer = await AcceptAsync();
        foreach (char answer in answers)
        {
            await peer.ReceiveAsync();
            peer.Send(answer);
        }

        await Assert.ThrowsAsync<IOException>(() => starting);
    }

    [Theory]
    [InlineData("")]
    [InlineData("W")]
    [InlineData("WS")]
    public async Task One_that_dies_leaves_everything_to_the_new_one(string answers)
    {
        Task<TestServer> starting = _place.StartAsync();
        using (RawPeer peer = await AcceptAsync())
        {
            _atPath.Dispose();
            foreach (char answer in answers)
            {
                await peer.ReceiveAsync();
                peer.Send(answer, "\0");
            }
        }

        await using TestServer server = await starting;
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("1", await client.AskAsync());
    }

    [Fact]
    public async Task Sockets_of_another_address_are_not_served()
    {
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
        other.Listen();
        IOException e = await Assert.ThrowsAsync<IOException>(() => StartWithAsync(other));
        Assert.Contains("127.0.0.2", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_socket_that_does_not_listen_is_not_served()
    {
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Loopback, 0));

        // Of another kind it would be, for some endpoints, a reason for Kestrel to bind only half of it.
        IOException e = await Assert.ThrowsAsync<IOException>(() => StartWithAsync(other));
        Assert.Contains("does not listen", e.Message, StringComparison.Ordinal);
        Assert.Contains(_place.Path, e.Message, StringComparison.Ordinal);
        Assert.Contains("127.0.0.1:", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_changes_its_mind_makes_the_new_one_stop_without_having_accepted()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen();
        Task<TestServer> starting = _place.StartAsync();
        using RawPeer peer = await AcceptAsync();
        await peer.ReceiveAsync();
        peer.Send('W');
        await peer.ReceiveAsync();
        peer.Send('S', "\u0001", (int)socket.Handle);
        await using TestServer server = await starting;
        using RawClient client = await RawClient.ConnectAsync(socket.LocalEndPoint!);
        await client.SendAsync(HandOverPlace.Request);

        Assert.Equal('R', (await peer.ReceiveAsync())?.Kind);
        peer.Send('X', "because");

        await server.DrainedAsync();
        await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 144).Any(), "it says why");
        await server.StopAsync();
        Assert.Equal(0, server.Factory!.GetStatistics().AcceptedConnections);

        // It is still the old one's to accept.
        using Socket accepted = await socket.AcceptAsync().InTime();
        Assert.Equal(client.Socket.LocalEndPoint, accepted.RemoteEndPoint);
    }

    private async Task StartWithAsync(Socket socket)
    {
        Task<TestServer> starting = _place.StartAsync();
        using RawPeer peer = await AcceptAsync();
        await peer.ReceiveAsync();
        peer.Send('W');
        await peer.ReceiveAsync();
        peer.Send('S', "\u0001", (int)socket.Handle);
        await using TestServer server = await starting;
    }

    private async Task<RawPeer> AcceptAsync() => new(await _atPath.AcceptAsync().InTime());
}
