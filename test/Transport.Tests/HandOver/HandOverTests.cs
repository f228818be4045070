using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>Two hosts of one process: what goes from one to the other goes through the kernel all the same.</summary>
[OneMode]
public sealed class HandOverTests : IDisposable
{
    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task The_new_one_serves_the_same_socket_and_the_old_one_stops_when_its_connections_have_ended()
    {
        await using TestServer old = await _place.StartServingAsync();
        using RawClient idle = await old.ConnectAsync();
        Assert.Equal("1", await idle.AskAsync());

        await using TestServer young = await _place.StartServingAsync();
        using RawClient fresh = await young.ConnectAsync();
        Assert.Equal("2", await fresh.AskAsync());
        Assert.Equal("2", await fresh.AskAsync());

        // One more request, and it says that it is the last one.
        await idle.SendAsync(HandOverPlace.Request);
        RawResponse last = await idle.ReadResponseAsync();
        Assert.Equal(("1", "close"), (last.Text, last.Headers["Connection"]));
        Assert.Equal(PeerEnd.Fin, (await idle.ReadToEndAsync()).End);
        await old.DrainedAsync();
        await old.StopAsync();

        Assert.Equal(LogLevel.Information, Assert.Single(old.Logs.Of(TransportKind.Netpoll, 140)).Level);
        Assert.Equal(LogLevel.Information, Assert.Single(young.Logs.Of(TransportKind.Netpoll, 141)).Level);
        using RawClient after = await young.ConnectAsync();
        Assert.Equal("2", await after.AskAsync());
        await young.StopAsync();
        Assert.False(File.Exists(_place.Path));
        Assert.Empty(old.Logs.Above(LogLevel.Information).Concat(young.Logs.Above(LogLevel.Information)));
    }

    /// <summary>It has ceased to give its sockets away, and has them still.</summary>
    [Fact]
    public async Task A_process_that_starts_while_the_old_one_stops_gets_the_addresses_when_they_are_free()
    {
        await using TestServer old = await _place.StartServingAsync();

        // As when the host begins to stop, and something else keeps Kestrel from doing so for a while.
        old.Factory!.HandOver!.OnStopping();
        Task<TestServer> starting = _place.StartAsync();
        await Task.WhenAny(starting, Task.Delay(300));
        await old.StopAsync();

        await using TestServer young = await starting.InTime();
        using RawClient client = await young.ConnectAsync();
        Assert.Equal("2", await client.AskAsync());
    }

    [Fact]
    public async Task Who_has_connected_and_was_not_accepted_is_served_by_the_new_one()
    {
        var kernel = new FullKernel();
        await using TestServer old = await _place.StartServingAsync(setup => setup.SystemCalls = kernel);
        kernel.Full = true;
        using RawClient waiting = await old.ConnectAsync();
        await waiting.SendAsync(HandOverPlace.Request);
        await Patience.UntilAsync(() => old.Logs.Of(TransportKind.Netpoll, 103).Any(), "the old one has no room for it");

        await using TestServer young = await _place.StartServingAsync();

        Assert.Equal("2", (await waiting.ReadResponseAsync()).Text);
    }

    [Theory]
    [InlineData(AcceptStrategy.Shared, 1, AcceptStrategy.Shared, 3)]
    [InlineData(AcceptStrategy.Shared, 3, AcceptStrategy.Shared, 1)]
    [InlineData(AcceptStrategy.ReusePort, 3, AcceptStrategy.ReusePort, 3)]
    [InlineData(AcceptStrategy.ReusePort, 4, AcceptStrategy.ReusePort, 2)]
    [InlineData(AcceptStrategy.ReusePort, 2, AcceptStrategy.ReusePort, 4)]
    [InlineData(AcceptStrategy.ReusePort, 3, AcceptStrategy.Shared, 2)]
    [InlineData(AcceptStrategy.Shared, 2, AcceptStrategy.ReusePort, 3)]
    public async Task Every_socket_is_accepted_from_whatever_the_groups(
        AcceptStrategy oldStrategy, int oldGroups, AcceptStrategy newStrategy, int newGroups)
    {
        await using TestServer old = await _place.StartServingAsync(netpoll: options => Set(options, oldStrategy, oldGroups));
        await using TestServer young = await _place.StartServingAsync(netpoll: options => Set(options, newStrategy, newGroups));
        await old.DrainedAsync();
        await old.StopAsync();

        // By their addresses the kernel gives them to all sockets.
        for (int i = 0; i < 40; i++)
        {
            using RawClient client = await young.ConnectAsync();
            Assert.Equal("2", await client.AskAsync());
        }

        static void Set(NetpollTransportOptions options, AcceptStrategy strategy, int groups) =>
            (options.AcceptStrategy, options.WorkerGroupCount, options.WorkerCount) = (strategy, groups, groups);
    }

    [Fact]
    public async Task The_file_of_a_Unix_socket_stays_and_becomes_the_new_ones()
    {
        string path = _place.FileNamed("web.sock");
        await using TestServer old = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenUnixSocket(path));
        await using TestServer young = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenUnixSocket(path));
        await old.DrainedAsync();
        await old.DisposeAsync();

        using RawClient client = await RawClient.ConnectAsync(new UnixDomainSocketEndPoint(path));
        Assert.Equal("2", await client.AskAsync());
        await young.DisposeAsync();
        Assert.False(File.Exists(path));
    }

    /// <summary>As a service manager does. Nor does it become that of whoever takes over next.</summary>
    [Fact]
    public async Task The_file_of_a_Unix_socket_that_somebody_else_has_made_stays_for_good()
    {
        string path = _place.FileNamed("web.sock");
        using var owner = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        owner.Bind(new UnixDomainSocketEndPoint(path));
        TestServer server = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenHandle((ulong)owner.Handle));
        for (int i = 0; i < 2; i++)
        {
            TestServer next = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenUnixSocket(path));
            await server.DrainedAsync();
            await server.DisposeAsync();
            server = next;
        }

        using (RawClient client = await RawClient.ConnectAsync(new UnixDomainSocketEndPoint(path)))
        {
            Assert.Equal("3", await client.AskAsync());
        }

        await server.DisposeAsync();
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task What_the_old_one_does_not_have_is_bound_and_what_is_not_asked_for_is_closed()
    {
        string dropped = _place.FileNamed("old.sock");
        string added = _place.FileNamed("new.sock");
        await using TestServer old = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenUnixSocket(dropped));
        await using TestServer young = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenUnixSocket(added));
        await old.DrainedAsync();

        using RawClient client = await RawClient.ConnectAsync(new UnixDomainSocketEndPoint(added));
        Assert.Equal("2", await client.AskAsync());
        Assert.False(File.Exists(dropped));
    }

    [Fact]
    public async Task A_handle_is_handed_over_by_its_address()
    {
        using var owner = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        owner.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var endPoint = (IPEndPoint)owner.LocalEndPoint!;
        await using TestServer old = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenHandle((ulong)owner.Handle));
        await using TestServer young = await _place.StartServingAsync(setup => setup.Kestrel = options => options.Listen(endPoint));

        using RawClient client = await RawClient.ConnectAsync(endPoint);
        Assert.Equal("2", await client.AskAsync());
    }

    [Fact]
    public async Task Connections_have_the_options_of_the_new_one()
    {
        await using TestServer old = await _place.StartServingAsync(netpoll: static options => options.NoDelay = false);
        string? seen = null;
        await using TestServer young = await _place.StartServingAsync(setup => setup.App = context =>
        {
            Socket socket = context.Features.Get<IConnectionSocketFeature>()!.Socket;
            seen = $"{socket.NoDelay}, {socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime)}";
            return context.Response.WriteAsync("2");
        }, static options => options.TcpKeepAliveTime = TimeSpan.FromSeconds(77));

        using RawClient client = await young.ConnectAsync();
        Assert.Equal("2", await client.AskAsync());
        Assert.Equal("True, 77", seen);
    }

    [Fact]
    public async Task A_request_under_way_is_not_cut()
    {
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer old = await _place.StartServingAsync(
            setup => setup.App = async context =>
            {
                busy.SetResult();
                await finish.Task;
                await context.Response.WriteAsync("1");
            },
            static options => options.HandOverGracePeriod = TimeSpan.FromMilliseconds(10));
        using RawClient client = await old.ConnectAsync();
        await client.SendAsync(HandOverPlace.Request);
        await busy.Task.InTime();

        await using TestServer young = await _place.StartServingAsync();
        await old.DrainedAsync();
        Task stopping = old.StopAsync();
        finish.SetResult();

        Assert.Equal("1", (await client.ReadResponseAsync()).Text);
        await stopping;
    }

    [Fact]
    public async Task Http2_connections_are_told_to_go_away_at_once()
    {
        await using TestServer old = await _place.StartServingAsync(
            static setup => setup.Endpoint = static endPoint => endPoint.Protocols = HttpProtocols.Http2);
        using var handler = new SocketsHttpHandler();
        using var client = new HttpClient(handler)
        {
            BaseAddress = new Uri($"http://127.0.0.1:{_place.Port}"),
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        Assert.Equal("1", await client.GetStringAsync("/").InTime());

        await using TestServer young = await _place.StartServingAsync(
            static setup => setup.Endpoint = static endPoint => endPoint.Protocols = HttpProtocols.Http2);

        // Long before the grace period is over, and although the client does nothing.
        await old.DrainedAsync();
        Assert.Equal("2", await client.GetStringAsync("/").InTime());
    }

    [Fact]
    public async Task Idle_connections_are_closed_after_the_grace_period()
    {
        await using TestServer old = await _place.StartServingAsync(
            netpoll: static options => options.HandOverGracePeriod = TimeSpan.FromMilliseconds(50));
        using RawClient idle = await old.ConnectAsync();
        Assert.Equal("1", await idle.AskAsync());

        await using TestServer young = await _place.StartServingAsync();
        await old.DrainedAsync();
        await old.StopAsync();

        Assert.Equal(PeerEnd.Fin, (await idle.ReadToEndAsync()).End);
    }

    [Fact]
    public async Task A_process_that_stops_in_between_leaves_what_it_has_given()
    {
        await using TestServer old = await _place.StartServingAsync();

        // Its start waits until the old one has gone.
        await using TestServer young = await _place.StartAsync(setup => setup.Pipeline = app => app.Lifetime.ApplicationStarted.Register(
            () => old.DisposeAsync().AsTask().GetAwaiter().GetResult()));

        using RawClient client = await young.ConnectAsync();
        Assert.Equal("2", await client.AskAsync());
        await Patience.UntilAsync(_place.IsListenedAt, "the new one listens for successors");
    }

    /// <summary>Has no room for connections, but for those of other processes that want to take over.</summary>
    private sealed class FullKernel : SystemCalls
    {
        internal volatile bool Full;

        protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
        {
            if (Full && Instance.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_DOMAIN, out int domain).IsSuccess && domain != LibC.AF_UNIX)
            {
                addressLength = 0;
                return SyscallResult.Failure(Errno.EMFILE);
            }

            return base.Accept4Once(fd, address, out addressLength, flags);
        }
    }
}
