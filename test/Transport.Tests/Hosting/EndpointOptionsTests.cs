using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Options of one endpoint take effect there, and nowhere else.</summary>
[OneMode]
public sealed class EndpointOptionsTests : IDisposable
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    private readonly string _directory = Directory.CreateTempSubdirectory("netpoll-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Sockets_have_what_their_endpoint_says()
    {
        await using TestServer server = await StartAsync(
            static netpoll => (netpoll.Backlog, netpoll.ReceiveBufferSize) = (11, 20_000),
            static context =>
            {
                Socket socket = context.Features.Get<IConnectionSocketFeature>()!.Socket;
                return context.Response.WriteAsync($"{socket.NoDelay} {socket.ReceiveBufferSize}");
            },
            static netpoll => (netpoll.Backlog, netpoll.NoDelay) = (7, false),
            static netpoll => netpoll.ReceiveBufferSize = 30_000);

        Assert.Equal([7, 11, 11], server.Factory!.GetAcceptQueues().Select(static queue => queue.Limit).Order());
        Assert.Equal(["True 40000", "False 40000", "True 60000"], await AskAsync(server));
    }

    [Fact]
    public async Task Each_Unix_socket_has_its_mode()
    {
        string first = Path.Combine(_directory, "first");
        string second = Path.Combine(_directory, "second");
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = static netpoll => netpoll.UnixSocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            setup.Kestrel = options =>
            {
                options.ListenUnixSocket(first);
                options.ListenUnixSocket(second, static endpoint => endpoint.UseNetpoll(static netpoll => netpoll.UnixSocketMode |= UnixFileMode.GroupWrite));
            };
        });

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(first));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite, File.GetUnixFileMode(second));
    }

    [Fact]
    public async Task A_client_may_be_silent_where_the_endpoint_allows_it()
    {
        await using TestServer server = await StartAsync(
            static netpoll => netpoll.FirstByteTimeout = TimeSpan.FromHours(1),
            static context => context.Response.WriteAsync("answered"),
            static netpoll => netpoll.FirstByteTimeout = TimeSpan.FromMilliseconds(40),
            static netpoll => netpoll.FirstByteTimeout = null);
        RawClient[] clients = await Task.WhenAll(EndPointsOf(server).Select(RawClient.ConnectAsync));

        Assert.Equal(([], PeerEnd.Fin), await clients[1].ReadToEndAsync());

        foreach (RawClient client in (RawClient[])[clients[0], clients[2]])
        {
            await client.SendAsync(Request);
            Assert.Equal("answered", (await client.ReadResponseAsync()).Text);
        }

        Assert.Equal(1, server.Factory!.GetStatistics().FirstByteTimeouts);
        LogEntry entry = Assert.Single(server.Logs.Of(TransportKind.Netpoll, 130));
        Assert.EndsWith("has reached FirstByteTimeout (00:00:00.0400000).", entry.Message, StringComparison.Ordinal);
        Array.ForEach(clients, static client => client.Dispose());
    }

    [Fact]
    public async Task A_limit_of_one_endpoint_is_kept_if_the_transport_has_none()
    {
        await using TestServer server = await StartAsync(
            static _ => { },
            static context => context.Response.WriteAsync("answered"),
            static netpoll => netpoll.ReadIdleTimeout = TimeSpan.FromMilliseconds(40));
        using RawClient unlimited = await server.ConnectAsync();

        // The first of them ends the look at all, and the second begins it anew.
        for (int i = 1; i <= 2; i++)
        {
            using RawClient limited = await RawClient.ConnectAsync(EndPointsOf(server).Last());
            Assert.Equal(([], PeerEnd.Fin), await limited.ReadToEndAsync());
            await Patience.UntilAsync(() => server.Factory!.GetStatistics().ActiveConnections == 1, "it has ended");
            Assert.Equal(i, server.Factory!.GetStatistics().ReadIdleTimeouts);
            await Patience.UntilAsync(() => !server.Factory!.Context!.Services.Sweep.IsOn, "nobody looks any more");
        }

        await unlimited.SendAsync(Request);
        Assert.Equal("answered", (await unlimited.ReadResponseAsync()).Text);
    }

    [Fact]
    public async Task Each_endpoint_has_its_hook()
    {
        await using TestServer server = await StartAsync(
            static netpoll => netpoll.OnAccept = static _ => AcceptDecision.Close,
            static context => context.Response.WriteAsync("answered"),
            static netpoll => netpoll.OnAccept = static _ => AcceptDecision.Refuse,
            static netpoll => netpoll.OnAccept = null);

        Assert.Equal([PeerEnd.Fin, PeerEnd.Reset, null], await EndsAsync(server, [0, 1, 2]));
        Assert.Equal(2, server.Factory!.GetStatistics().RefusedConnections);
    }

    [Fact]
    public async Task Connections_of_a_client_are_counted_together_but_for_endpoints_that_have_a_limit_of_their_own()
    {
        await using TestServer server = await StartAsync(
            static netpoll => netpoll.MaxConnectionsPerAddress = 2,
            static context => context.Response.WriteAsync("answered"),
            static netpoll => netpoll.Backlog = 7,
            static netpoll => netpoll.MaxConnectionsPerAddress = 2,
            static netpoll => netpoll.MaxConnectionsPerAddress = null);

        Assert.Equal(
            [null, null, PeerEnd.Reset, PeerEnd.Reset, null, null, PeerEnd.Reset, null, null, null],
            await EndsAsync(server, [0, 1, 0, 1, 2, 2, 2, 3, 3, 3]));
        Assert.Equal(3, server.Factory!.GetStatistics().ConnectionsOverAddressLimit);
    }

    [Fact]
    public async Task Buffers_are_those_of_the_endpoint()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        NetpollTransportOptions own = new NetpollTransportOptions().Copy();
        (own.MaxReadBufferSize, own.MaxWriteBufferSize, own.WaitForDataBeforeAllocatingBuffer) = (17, null, false);
        ConnectionServices shared = harness.Factory.Context!.Services;

        ConnectionServices services = harness.Factory.Context.ServicesFor(own);

        Assert.Equal((17, 0, true), (services.MaxReadBufferSize, services.MaxWriteBufferSize, services.HoldsBlock));
        Assert.Equal((1024 * 1024, 64 * 1024, false), (shared.MaxReadBufferSize, shared.MaxWriteBufferSize, shared.HoldsBlock));
        Assert.Same(shared.Connections, services.Connections);
        Assert.Same(shared.Lingering, services.Lingering);
        Assert.Same(shared.ConnectionIds, services.ConnectionIds);
    }

    [Fact]
    public async Task What_is_wrong_at_an_endpoint_stops_the_host_and_is_named()
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(
            static _ => { },
            static _ => Task.CompletedTask,
            static netpoll => (netpoll.Backlog, netpoll.ReadIdleTimeout) = (0, TimeSpan.Zero)));

        Assert.Equal(
            [
                "Endpoint http://127.0.0.1:0: NetpollEndpointOptions.Backlog is 0; it must be 1 or more.",
                "Endpoint http://127.0.0.1:0: NetpollEndpointOptions.ReadIdleTimeout is 00:00:00; "
                    + "it must be null or between 00:00:00.0010000 and 24.20:31:23.6470000.",
            ],
            e.Failures);
    }

    [Fact]
    public async Task What_the_options_throw_stops_the_host_and_the_endpoint_is_named()
    {
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(
            static _ => { }, static _ => Task.CompletedTask, static _ => throw new ArgumentException("options")));

        Assert.Equal("UseNetpoll of endpoint http://127.0.0.1:0: what sets the options has thrown: options", e.Message);
        Assert.IsType<ArgumentException>(e.InnerException);
    }

    /// <summary>Kestrel tries 0.0.0.0 then, which nobody has said.</summary>
    [Fact]
    public async Task All_addresses_are_named_as_they_were_said()
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => TestServer.StartAsync(
            TransportKind.Netpoll,
            static setup => setup.Kestrel = static options =>
                options.ListenAnyIP(0, static endpoint => endpoint.UseNetpoll(static netpoll => netpoll.Backlog = 0))));

        Assert.Equal(["Endpoint http://[::]:0: NetpollEndpointOptions.Backlog is 0; it must be 1 or more."], e.Failures);
    }

    [Fact]
    public async Task Options_of_the_engine_cannot_be_had_by_a_cast()
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(
            static _ => { },
            static _ => Task.CompletedTask,
            static netpoll =>
            {
                var all = (NetpollTransportOptions)netpoll;
                all.Backend = (NetpollBackend)9;
                (all.WorkerCount, all.MaxWorkerCount, all.WorkerGroupCount) = (0, 32_000, 64);
                (all.ApplicationScheduling, all.BlockedTurnThreshold, all.NameBlockedRequests) = ((ApplicationScheduling)9, null, true);
                (all.HandOverPath, all.HandOverGracePeriod, all.NotifySystemd) = ("/x", TimeSpan.FromDays(1), true);
            }));

        Assert.Equal(
            EngineOptions.Names.Select(
                static option => $"Endpoint http://127.0.0.1:0: {option} is an option of the whole transport, which no endpoint has for itself."),
            e.Failures);
    }

    [Fact]
    public void Engine_and_endpoints_have_different_options()
    {
        string[] engine = [.. typeof(NetpollTransportOptions).GetProperties()
            .Where(static property => property.DeclaringType == typeof(NetpollTransportOptions))
            .Select(static property => property.Name)
            .Order()];

        Assert.Equal(
            [
                "ApplicationScheduling", "Backend", "BlockedTurnThreshold", "HandOverGracePeriod", "HandOverPath", "MaxWorkerCount",
                "NameBlockedRequests", "NotifySystemd", "WorkerCount", "WorkerGroupCount",
            ],
            engine);
        Assert.Equal(engine, EngineOptions.Names);
    }

    // One endpoint with the transport's options, and one for each of the others.
    private static Task<TestServer> StartAsync(
        Action<NetpollTransportOptions> shared, RequestDelegate app, params Action<NetpollEndpointOptions>[] endpoints) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = shared;
            setup.App = app;
            setup.Kestrel = options => Array.ForEach(
                endpoints, configure => options.Listen(IPAddress.Loopback, 0, endpoint => endpoint.UseNetpoll(configure)));
        });

    private static IEnumerable<IPEndPoint> EndPointsOf(TestServer server) =>
        server.Addresses.Select(static address => new IPEndPoint(IPAddress.Loopback, new Uri(address).Port));

    private static async Task<string[]> AskAsync(TestServer server)
    {
        var answers = new List<string>();
        foreach (IPEndPoint endPoint in EndPointsOf(server))
        {
            using RawClient client = await RawClient.ConnectAsync(endPoint);
            await client.SendAsync(Request);
            answers.Add((await client.ReadResponseAsync()).Text);
        }

        return [.. answers];
    }

    // How connections to endpoints end that are opened one after the other; null: not at all, they are served.
    private static async Task<PeerEnd?[]> EndsAsync(TestServer server, int[] endpoints)
    {
        IPEndPoint[] endPoints = [.. EndPointsOf(server)];
        var ends = new List<PeerEnd?>();
        var open = new List<RawClient>();
        foreach (int index in endpoints)
        {
            long accepted = server.Factory!.GetStatistics().AcceptedConnections;
            try
            {
                RawClient client = await RawClient.ConnectAsync(endPoints[index]);
                open.Add(client);
                await Patience.UntilAsync(
                    () => client.Socket.Poll(0, SelectMode.SelectRead) || server.Factory.GetStatistics().AcceptedConnections > accepted,
                    "it is decided");
                ends.Add(server.Factory.GetStatistics().AcceptedConnections > accepted ? null : (await client.ReadToEndAsync()).End);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
                // Before the client knew that it had a connection.
                ends.Add(PeerEnd.Reset);
            }
        }

        open.ForEach(static client => client.Dispose());
        return [.. ends];
    }
}
