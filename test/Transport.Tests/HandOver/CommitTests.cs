using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.HandOver;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>The end of a hand-over: whatever happens to one of the two at its last steps, the other one serves.</summary>
[OneMode]
public sealed class CommitTests : IDisposable
{
    private const string Hello = "netpoll hand-over 1";

    private readonly HandOverPlace _place = new();
    private readonly Socket _listening = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    // Null: an old one listens there by itself.
    private Socket? _atPath;

    public CommitTests()
    {
        _listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listening.Listen();
    }

    public void Dispose()
    {
        _atPath?.Dispose();
        _listening.Dispose();
        _place.Dispose();
    }

    [Theory]
    [InlineData("it ends")]
    [InlineData("it says nothing")]
    [InlineData("it says something else")]
    public async Task The_old_one_serves_on_unless_the_new_one_says_that_it_accepts(string what)
    {
        string path = _place.FileNamed("web.sock");
        Action<TestServerSetup> withUnixSocket = setup => setup.Kestrel = options => options.ListenUnixSocket(path);
        await using TestServer old = await _place.StartServingAsync(
            withUnixSocket, times: new HandOverTimes { Exchange = TimeSpan.FromSeconds(2) });
        using (RawPeer peer = await ConnectReadyAsync(new UnixDomainSocketEndPoint(path)))
        {
            Assert.Equal('Y', (await peer.ReceiveAsync())?.Kind);
            if (what == "it says something else")
            {
                peer.Send('R');
            }

            if (what != "it ends")
            {
                Assert.Equal('X', (await peer.ReceiveAsync())?.Kind);
            }
        }

        await Patience.UntilAsync(() => old.Logs.Of(TransportKind.Netpoll, 142).Any(), "it goes on");
        await AssertServesAsync(old, "1");
        await using TestServer young = await _place.StartServingAsync(withUnixSocket);
        await old.DrainedAsync();
        await old.DisposeAsync();
        await AssertServesAsync(young, "2");
        using RawClient unix = await RawClient.ConnectAsync(new UnixDomainSocketEndPoint(path));
        Assert.Equal("2", await unix.AskAsync());
    }

    [Fact]
    public async Task An_old_one_that_stops_before_the_last_answer_leaves_the_file_at_the_path()
    {
        await using TestServer old = await _place.StartServingAsync();
        using RawPeer peer = await ConnectReadyAsync(old.EndPoint);
        Assert.Equal('Y', (await peer.ReceiveAsync())?.Kind);

        await old.DisposeAsync();

        Assert.Null(await peer.ReceiveAsync());
        Assert.True(File.Exists(_place.Path));
    }

    [Fact]
    public async Task A_new_one_that_could_not_receive_everything_stops_and_the_old_one_serves_on()
    {
        await using TestServer old = await _place.StartServingAsync();
        await using TestServer young = await _place.StartAsync(static setup => setup.SystemCalls = new TruncatingKernel());
        await young.DrainedAsync();
        Assert.Single(young.Logs.Of(TransportKind.Netpoll, 144));
        await young.StopAsync();

        await Patience.UntilAsync(() => old.Logs.Of(TransportKind.Netpoll, 142).Any(), "it goes on");
        await AssertServesAsync(old, "1");
        Assert.Empty(old.Logs.Of(TransportKind.Netpoll, 140));
    }

    [Theory]
    [InlineData("the host stops")]
    [InlineData("the old one says nothing")]
    public async Task A_new_one_that_does_not_accept_lets_the_old_one_know_at_once(string what)
    {
        bool stops = what == "the host stops";
        (TestServer server, RawPeer peer) = await StartReadyAsync(
            stops ? null : new HandOverTimes { Exchange = TimeSpan.FromSeconds(2) });
        await using (server)
        {
            using (peer)
            {
                if (stops)
                {
                    server.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
                }

                // Long before the host has stopped: here it does not.
                Assert.Null(await peer.ReceiveAsync());
                await server.DrainedAsync();
                Assert.Equal(0, server.Factory!.GetStatistics().AcceptedConnections);
            }
        }
    }

    [Fact]
    public async Task A_new_one_that_has_the_last_word_serves_and_says_so()
    {
        (TestServer server, RawPeer peer) = await StartReadyAsync();
        await using (server)
        {
            using (peer)
            {
                peer.Send('Y', "", (int)_atPath!.Handle);
                Assert.Equal('M', (await peer.ReceiveAsync())?.Kind);
                await AssertServesAsync(server, "1");

                // Whoever made it: an accept that blocks would stop a worker, for ever.
                Assert.Equal(LibC.O_NONBLOCK, new SystemCalls().GetFlags((int)_listening.Handle).Value & LibC.O_NONBLOCK);
                Assert.Empty(server.Logs.Of(TransportKind.Netpoll, 141));
                peer.Send('C');
                await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 141).Any(), "it knows that it serves alone");
            }
        }

        Assert.False(File.Exists(_place.Path));
    }

    [Fact]
    public async Task A_new_one_that_was_too_late_stops_and_leaves_the_files()
    {
        (TestServer server, RawPeer peer) = await StartReadyAsync();
        await using (server)
        {
            using (peer)
            {
                peer.Send('Y', "", (int)_atPath!.Handle);
                Assert.Equal('M', (await peer.ReceiveAsync())?.Kind);
                peer.Send('X', "because");
                await server.DrainedAsync();
                Assert.Single(server.Logs.Of(TransportKind.Netpoll, 144));
            }
        }

        Assert.True(File.Exists(_place.Path));
    }

    [Fact]
    public async Task Without_the_listener_at_the_path_the_new_one_serves_and_makes_one()
    {
        (TestServer server, RawPeer peer) = await StartReadyAsync();
        await using (server)
        {
            using (peer)
            {
                // It is no Unix socket.
                peer.Send('Y', "", (int)_listening.Handle);
                Assert.Equal('M', (await peer.ReceiveAsync())?.Kind);
                Assert.Single(server.Logs.Of(TransportKind.Netpoll, 143));
                _atPath!.Dispose();
                peer.Send('C');
            }

            await AssertServesAsync(server, "1");
            await Patience.UntilAsync(_place.IsListenedAt, "it listens for successors");
        }
    }

    private async Task<(TestServer Server, RawPeer Peer)> StartReadyAsync(HandOverTimes? times = null)
    {
        _atPath = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _atPath.Bind(new UnixDomainSocketEndPoint(_place.Path));
        _atPath.Listen();
        Task<TestServer> starting = _place.StartAsync(times: times);
        var peer = new RawPeer(await _atPath.AcceptAsync().InTime());
        await peer.ReceiveAsync();
        peer.Send('W');
        await peer.ReceiveAsync();
        peer.Send('S', "\u0001", (int)_listening.Handle);
        TestServer server = await starting;
        Assert.Equal('R', (await peer.ReceiveAsync())?.Kind);
        return (server, peer);
    }

    private async Task<RawPeer> ConnectReadyAsync(EndPoint endPoint)
    {
        RawPeer peer = await RawPeer.ConnectAsync(_place.Path);
        byte[] address = SocketAddresses.ToBytes(endPoint);
        peer.Send('H', Hello);
        Assert.Equal('W', (await peer.ReceiveAsync())?.Kind);
        peer.Send([(byte)'A', (byte)address.Length, 0, .. address]);
        Assert.Equal('S', (await peer.ReceiveAsync())?.Kind);
        peer.Send('R');
        return peer;
    }

    private static async Task AssertServesAsync(TestServer server, string number)
    {
        using RawClient client = await server.ConnectAsync();
        Assert.Equal(number, await client.AskAsync());
    }

    /// <summary>The process has no descriptor left when the last message comes.</summary>
    private sealed class TruncatingKernel : SystemCalls
    {
        protected internal override SyscallResult ReceiveDescriptorsOnce(
            int fd, Span<byte> bytes, Span<int> descriptors, int flags, out int count, out bool isTruncated)
        {
            SyscallResult result = base.ReceiveDescriptorsOnce(fd, bytes, descriptors, flags, out count, out isTruncated);
            isTruncated |= result.IsSuccess && count != 0 && bytes[0] == 'Y';
            return result;
        }
    }
}
