using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Hosting;

[OneMode]
public sealed class CreateBoundListenSocketTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
    private readonly Socket _owner = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public CreateBoundListenSocketTests() => _owner.Bind(new IPEndPoint(IPAddress.Loopback, 0));

    public void Dispose() => _owner.Dispose();

    [Theory]
    [InlineData("IPv4")]
    [InlineData("IPv6Any")]
    [InlineData("Unix")]
    [InlineData("handle")]
    public async Task It_is_asked_once_for_each_endpoint_and_what_it_made_is_disposed_of(string kind)
    {
        EndPoint endPoint = kind switch
        {
            "IPv4" => new IPEndPoint(IPAddress.Loopback, 0),
            "IPv6Any" => new IPEndPoint(IPAddress.IPv6Any, 0),
            "Unix" => new UnixDomainSocketEndPoint(_path),
            _ => new FileHandleEndPoint((ulong)_owner.Handle, FileHandleType.Auto),
        };
        List<(EndPoint EndPoint, Socket Socket)> made = [];
        var options = new NetpollTransportOptions
        {
            WorkerCount = 2,
            WorkerGroupCount = 2,
            CreateBoundListenSocket = asked =>
            {
                Socket socket = NetpollTransportOptions.CreateDefaultBoundListenSocket(asked);
                socket.SendBufferSize = 20_000;
                made.Add((asked, socket));
                return socket;
            },
        };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options, endPoint: endPoint);
        Assert.Same(endPoint, Assert.Single(made).EndPoint);
        Assert.Equal(made[0].Socket.LocalEndPoint, harness.Listener.EndPoint);

        EndPoint target = harness.Listener.EndPoint is IPEndPoint ip ? new IPEndPoint(IPAddress.Loopback, ip.Port) : harness.Listener.EndPoint;
        using RawClient client = await RawClient.ConnectAsync(target);
        await using NetpollConnection connection = await harness.AcceptAsync();
        if (kind != "Unix")
        {
            // Linux does not hand it on there.
            Assert.Equal(40_000, ((IConnectionSocketFeature)connection).Socket.SendBufferSize);
        }

        // An unbind waits for Kestrel to begin to read from what it has just got.
        connection.Transport.Input.TryRead(out _);
        await harness.Listener.UnbindAsync().InTime();
        Assert.True(made[0].Socket.SafeHandle.IsClosed);
        Assert.False(File.Exists(_path));
        Assert.NotNull(_owner.LocalEndPoint);
    }

    [Fact]
    public async Task What_it_throws_comes_through_and_an_address_in_use_is_recognized()
    {
        var failing = new NetpollTransportOptions { CreateBoundListenSocket = static _ => throw new SocketException((int)SocketError.AddressAlreadyInUse) };
        await Assert.ThrowsAsync<AddressInUseException>(() => TransportHarness.StartAsync(options: failing));

        var other = new NetpollTransportOptions { CreateBoundListenSocket = static _ => throw new NotImplementedException("mine") };
        Assert.Equal("mine", (await Assert.ThrowsAsync<NotImplementedException>(() => TransportHarness.StartAsync(options: other))).Message);
    }

    /// <summary>On all IPv4 addresses, in the form that IPv6 sockets have for it.</summary>
    [Theory]
    [InlineData(TransportKind.Sockets, false)]
    [InlineData(TransportKind.Netpoll, false)]
    [InlineData(TransportKind.Sockets, true)]
    [InlineData(TransportKind.Netpoll, true)]
    public async Task The_local_address_of_a_connection_is_its_own_on_a_mapped_wildcard(TransportKind kind, bool asHandle)
    {
        using var owner = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        owner.Bind(new IPEndPoint(IPAddress.Any.MapToIPv6(), 0));
        int port = ((IPEndPoint)owner.LocalEndPoint!).Port;
        bool made = false;
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.App = context => context.Response.WriteAsync($"{context.Connection.LocalIpAddress}:{context.Connection.LocalPort}");
            if (asHandle)
            {
                setup.Kestrel = options => options.ListenHandle((ulong)owner.Handle);
                return;
            }

            setup.Netpoll = options => options.CreateBoundListenSocket = Create;
            setup.Services = services => services.Configure<SocketTransportOptions>(options => options.CreateBoundListenSocket = Create);
        });

        using RawClient client = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.Parse("127.0.0.3"), port));
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal($"::ffff:127.0.0.3:{port}", (await client.ReadResponseAsync()).Text);
        Assert.Equal(!asHandle, made);

        Socket Create(EndPoint endPoint)
        {
            made = true;
            return owner;
        }
    }

    /// <summary>Listening on it would choose a port by itself.</summary>
    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.InterNetworkV6)]
    [InlineData(AddressFamily.Unix)]
    public async Task A_socket_that_is_not_bound_is_refused_and_disposed_of(AddressFamily family)
    {
        Socket? made = null;
        var options = new NetpollTransportOptions
        {
            CreateBoundListenSocket = _ => made = new Socket(family, SocketType.Stream, ProtocolType.Unspecified),
        };

        SocketException e = await Assert.ThrowsAsync<SocketException>(
            () => TransportHarness.StartAsync(options: options, endPoint: new IPEndPoint(IPAddress.Loopback, 4321)));

        Assert.StartsWith(
            "the socket that NetpollTransportOptions.CreateBoundListenSocket made for 127.0.0.1:4321 is not bound to an address",
            e.Message,
            StringComparison.Ordinal);
        Assert.True(made!.SafeHandle.IsClosed);
    }

    [Fact]
    public async Task Null_is_refused_with_the_name_of_the_option()
    {
        var options = new NetpollTransportOptions { CreateBoundListenSocket = static _ => null! };

        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => TransportHarness.StartAsync(options: options));

        Assert.Contains("NetpollTransportOptions.CreateBoundListenSocket", e.Message, StringComparison.Ordinal);
    }
}
