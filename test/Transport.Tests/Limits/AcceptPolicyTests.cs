using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Limits;

[OneMode]
public class AcceptPolicyTests
{
    [Theory]
    [InlineData(AcceptDecision.Refuse, true)]
    [InlineData(AcceptDecision.Close, false)]
    [InlineData((AcceptDecision)17, true)]
    public async Task What_the_hook_does_not_accept_is_refused_or_closed_and_others_are_served(AcceptDecision decision, bool reset)
    {
        var seen = new ConcurrentQueue<(EndPoint EndPoint, IPAddress? Remote, bool HasPort, UnixPeerCredentials? Credentials)>();
        AcceptDecision current = decision;
        await using TestServer server = await StartAsync(options => options.OnAccept = connection =>
        {
            IPEndPoint? remote = connection.RemoteEndPoint;
            seen.Enqueue((connection.EndPoint, remote?.Address, remote?.Port > 0, connection.GetPeerCredentials()));
            return current;
        });
        Assert.Equal(reset ? PeerEnd.Reset : PeerEnd.Fin, await EndOfAsync(server.ConnectAsync));
        Assert.Equal([(server.EndPoint, IPAddress.Loopback, true, null)], seen);

        current = AcceptDecision.Accept;
        await AssertServedAsync(server);
        NetpollTransportStatistics statistics = server.Factory!.GetStatistics();
        Assert.Equal((1, 1), (statistics.RefusedConnections, statistics.AcceptedConnections));
        LogEntry entry = Assert.Single(server.Logs.Of(TransportKind.Netpoll, 131));
        Assert.Equal(LogLevel.Debug, entry.Level);
        Assert.EndsWith("was not accepted: OnAccept.", entry.Message, StringComparison.Ordinal);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task One_that_is_closed_gets_a_FIN_although_it_has_sent_something()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { OnAccept = static _ => AcceptDecision.Close });

        // Nobody accepts before somebody wants to.
        using RawClient client = await harness.ConnectClientAsync();
        await client.SendAsync(new string('x', 20_000));
        _ = harness.Listener.AcceptAsync().AsTask();

        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
    }

    [Fact]
    public async Task A_connection_that_there_is_no_memory_for_gives_its_place_and_its_descriptor_back()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var kernel = new FailingKernel();
        await using TransportHarness harness = await TransportHarness.StartAsync(
            kernel,
            new NetpollTransportOptions { MaxConnectionsPerAddress = 1 },
            new FileHandleEndPoint((ulong)listener.Handle, FileHandleType.Tcp));

        // The connections of a handle get their options one by one.
        kernel.IsOutOfMemory = true;
        Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync().AsTask();
        Assert.Equal(PeerEnd.Reset, await EndOfAsync(harness.ConnectClientAsync));
        kernel.IsOutOfMemory = false;
        await Patience.UntilAsync(() => harness.Factory.Context!.Services.AcceptPolicy!.Clients == 0, "its place is free");

        using RawClient client = await harness.ConnectClientAsync();
        await (await accepting.InTime())!.DisposeAsync().InTime();
    }

    [Fact]
    public async Task A_hook_that_throws_refuses_is_logged_once_and_does_not_end_the_listener()
    {
        bool throws = true;
        await using TestServer server = await StartAsync(
            options => options.OnAccept = _ => throws ? throw new InvalidOperationException("hook") : AcceptDecision.Accept);
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(PeerEnd.Reset, await EndOfAsync(server.ConnectAsync));
        }

        throws = false;
        await AssertServedAsync(server);
        Assert.Equal(100, server.Factory!.GetStatistics().RefusedConnections);
        LogEntry entry = Assert.Single(server.Logs.Above(LogLevel.Information));
        Assert.Equal((132, LogLevel.Error, "hook"), (entry.Id.Id, entry.Level, entry.Exception!.Message));
    }

    [Fact]
    public async Task A_hook_sees_who_has_connected_to_a_Unix_socket()
    {
        UnixPeerCredentials? seen = null;
        var endPoint = new UnixDomainSocketEndPoint($"\0{Guid.NewGuid()}");
        var options = new NetpollTransportOptions
        {
            OnAccept = connection =>
            {
                seen = connection.GetPeerCredentials();
                return connection.RemoteEndPoint is null ? AcceptDecision.Accept : AcceptDecision.Close;
            },
            MaxConnectionsPerAddress = 1,
        };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options, endPoint: endPoint);
        var connections = new List<(NetpollConnection Server, RawClient Client)>();
        for (int i = 0; i < 3; i++)
        {
            // No address, hence no limit.
            connections.Add(await harness.ConnectAsync());
        }

        Assert.Equal(Environment.ProcessId, seen?.ProcessId);
        foreach ((NetpollConnection server, RawClient client) in connections)
        {
            await server.DisposeAsync().InTime();
            client.Dispose();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_may_have_so_many_connections_and_another_when_one_has_ended(bool reset)
    {
        await using TestServer server = await StartAsync(static options => options.MaxConnectionsPerAddress = 2);
        var clients = new Queue<RawClient>();
        clients.Enqueue(await ConnectAsync(server, "127.0.0.1"));
        clients.Enqueue(await ConnectAsync(server, "127.0.0.1"));
        for (int i = 0; i < 10; i++)
        {
            await AssertServedAsync(clients.Last());
            Assert.Equal(PeerEnd.Reset, await EndOfAsync(() => ConnectAsync(server, "127.0.0.1")));
            using (RawClient other = await ConnectAsync(server, "127.0.0.2"))
            {
                await AssertServedAsync(other);
            }

            RawClient gone = clients.Dequeue();
            if (reset)
            {
                gone.Reset();
            }

            gone.Dispose();
            await Patience.UntilAsync(
                () => server.Factory!.GetStatistics().ActiveConnections <= 1 && server.Factory.Context!.Services.AcceptPolicy!.Clients == 1,
                "they are gone");
            clients.Enqueue(await ConnectAsync(server, "127.0.0.1"));
        }

        Assert.Equal(10, server.Factory!.GetStatistics().ConnectionsOverAddressLimit);
        while (clients.TryDequeue(out RawClient? client))
        {
            client.Dispose();
        }

        await Patience.UntilAsync(() => server.Factory.Context!.Services.AcceptPolicy!.Clients == 0, "all places are free");
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task A_place_comes_back_whatever_ends_the_connection()
    {
        var kernel = new FailingKernel();
        var options = new NetpollTransportOptions
        {
            MaxConnectionsPerAddress = 1,
            FirstByteTimeout = TimeSpan.FromMilliseconds(20),
            OnAccept = _ => kernel.Decision,
        };
        TransportHarness harness = await TransportHarness.StartAsync(kernel, options);
        await using (harness)
        {
            // The hook; the kernel, which refuses a watch; an abort; a limit; a dispose.
            kernel.Decision = AcceptDecision.Close;
            _pending = harness.Listener.AcceptAsync().AsTask();
            Assert.Equal(PeerEnd.Fin, await EndOfAsync(harness.ConnectClientAsync));
            Assert.False(_pending.IsCompleted);
            Assert.Equal(0, harness.Factory.Context!.Services.AcceptPolicy!.Clients);
            kernel.Decision = AcceptDecision.Accept;
            foreach (Func<NetpollConnection, Task> ending in (Func<NetpollConnection, Task>[])
                [
                    connection =>
                    {
                        connection.Abort(new("ended"));
                        return Task.CompletedTask;
                    },
                    static async connection => await Assert.ThrowsAsync<ConnectionAbortedException>(
                        () => connection.Transport.Input.ReadAsync().AsTask()),
                    static _ => Task.CompletedTask,
                ])
            {
                using RawClient client = await harness.ConnectClientAsync();
                NetpollConnection connection = await AcceptPendingAsync(harness);
                Assert.Equal(1, harness.Factory.Context!.Services.AcceptPolicy!.Clients);
                await ending(connection).InTime();
                await connection.DisposeAsync().InTime();
                Assert.Equal(0, harness.Factory.Context.Services.AcceptPolicy.Clients);
            }

            kernel.RefusesWatch = true;
            Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync().AsTask();
            Assert.Equal(PeerEnd.Reset, await EndOfAsync(harness.ConnectClientAsync));
            kernel.RefusesWatch = false;
            await Patience.UntilAsync(() => harness.Factory.Context!.Services.AcceptPolicy!.Clients == 0, "its place is free");
            using RawClient last = await harness.ConnectClientAsync();
            await (await accepting.InTime())!.DisposeAsync().InTime();

            // Accepted, and never asked for: the end of the listener sees to it.
            using RawClient undelivered = await harness.ConnectClientAsync();
            await Patience.UntilAsync(() => harness.Factory.Context!.Services.AcceptPolicy!.Clients == 1, "it has been accepted");
        }

        Assert.Equal(0, harness.Factory.Context!.Services.AcceptPolicy!.Clients);
    }

    [Fact]
    public async Task A_server_with_a_hook_and_limits_serves_many_connections_at_once()
    {
        await using TestServer server = await StartAsync(static options =>
        {
            options.MaxConnectionsPerAddress = 1_000;
            options.OnAccept = static connection =>
                connection.RemoteEndPoint!.Port % 2 == 0 ? AcceptDecision.Accept : AcceptDecision.Refuse;
        });
        int served = 0;
        int refused = 0;
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; i < 25; i++)
            {
                RawClient client = CreateFrom(server, "127.0.0.1");
                if (((IPEndPoint)client.Socket.LocalEndPoint!).Port % 2 == 0)
                {
                    await client.Socket.ConnectAsync(server.EndPoint).InTime();
                    await AssertServedAsync(client);
                    client.Dispose();
                    Interlocked.Increment(ref served);
                }
                else
                {
                    Assert.Equal(PeerEnd.Reset, await EndOfAsync(() => ConnectAsync(server, client)));
                    Interlocked.Increment(ref refused);
                }
            }
        })));

        Assert.Equal(400, served + refused);
        NetpollTransportStatistics statistics = server.Factory!.GetStatistics();
        Assert.Equal((served, refused), (statistics.AcceptedConnections, statistics.RefusedConnections));
        await Patience.UntilAsync(() => server.Factory.Context!.Services.AcceptPolicy!.Clients == 0, "all places are free");
    }

    [Fact]
    public async Task The_queues_of_listeners_are_shown_with_their_limits()
    {
        var options = new NetpollTransportOptions { Backlog = 7 };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);
        await using IConnectionListener unix = await harness.Factory.BindAsync(new UnixDomainSocketEndPoint($"\0{Guid.NewGuid()}"));
        NetpollTransportFactory statistics = harness.Factory;

        // Nobody accepts before somebody wants to.
        using RawClient one = await harness.ConnectClientAsync();
        using RawClient two = await harness.ConnectClientAsync();

        await Patience.UntilAsync(() => statistics.GetAcceptQueues() is [{ Pending: 2 }], "both wait");
        Assert.Equal([new NetpollAcceptQueueDepth(harness.Listener.EndPoint, 2, 7)], statistics.GetAcceptQueues());
        await (await harness.AcceptAsync()).DisposeAsync().InTime();
        await (await harness.AcceptAsync()).DisposeAsync().InTime();
        await Patience.UntilAsync(() => statistics.GetAcceptQueues() is [{ Pending: 0 }], "none waits");
        await harness.Listener.UnbindAsync();
        Assert.Empty(statistics.GetAcceptQueues());
    }

    [Theory]
    [InlineData(AcceptStrategy.Shared, 1)]
    [InlineData(AcceptStrategy.ReusePort, 2)]
    public async Task Each_listening_socket_has_a_queue(AcceptStrategy strategy, int queues)
    {
        var options = new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 2, AcceptStrategy = strategy };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);

        Assert.Equal(queues, harness.Factory.GetAcceptQueues().Count);
    }

    private Task<ConnectionContext?>? _pending;

    private async Task<NetpollConnection> AcceptPendingAsync(TransportHarness harness)
    {
        ConnectionContext? accepted = await (_pending ?? harness.Listener.AcceptAsync().AsTask()).InTime();
        _pending = null;
        await Task.Yield();
        return Assert.IsType<NetpollConnection>(accepted);
    }

    private static Task<TestServer> StartAsync(Action<NetpollTransportOptions> netpoll) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup => setup.Netpoll = netpoll);

    // A connection that is refused may be reset before the client knows that it has one.
    private static async Task<PeerEnd> EndOfAsync(Func<Task<RawClient>> connect)
    {
        try
        {
            using RawClient client = await connect();
            return (await client.ReadToEndAsync()).End;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return PeerEnd.Reset;
        }
    }

    private static Task<RawClient> ConnectAsync(TestServer server, string from) => ConnectAsync(server, CreateFrom(server, from));

    private static RawClient CreateFrom(TestServer server, string from)
    {
        RawClient client = RawClient.Create(server.EndPoint, receiveBufferSize: 10_000);
        client.Socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
        return client;
    }

    private static async Task<RawClient> ConnectAsync(TestServer server, RawClient client)
    {
        try
        {
            await client.Socket.ConnectAsync(server.EndPoint).InTime();
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static async Task AssertServedAsync(TestServer server)
    {
        using RawClient client = await server.ConnectAsync();
        await AssertServedAsync(client);
    }

    private static async Task AssertServedAsync(RawClient client)
    {
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);
    }

    private sealed class FailingKernel : SystemCalls
    {
        internal AcceptDecision Decision { get; set; }

        internal bool RefusesWatch { get; set; }

        internal bool IsOutOfMemory { get; set; }

        protected internal override SyscallResult PollOnce(int fd, short events, out short revents)
        {
            revents = 0;
            return RefusesWatch ? SyscallResult.Failure(Errno.ENOSPC) : base.PollOnce(fd, events, out revents);
        }

        protected internal override SyscallResult SetSockOptOnce(int fd, int level, int option, int value) =>
            IsOutOfMemory ? throw new InsufficientMemoryException() : base.SetSockOptOnce(fd, level, option, value);

        protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data) =>
            RefusesWatch && op == LibC.EPOLL_CTL_ADD
                ? SyscallResult.Failure(Errno.ENOSPC)
                : base.EpollCtlOnce(epfd, op, fd, events, data);
    }
}
