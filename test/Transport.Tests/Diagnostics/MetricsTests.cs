using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Listening;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scheduling;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

[OneMode]
public class MetricsTests
{
    [Fact]
    public async Task The_counters_can_be_observed()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);
        using var measured = new Measured(server.Services.GetRequiredService<IMeterFactory>());
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await client.ReadResponseAsync();

        // They are counted when the call has returned, which may be after the client has read them.
        await Patience.UntilAsync(
            () =>
            {
                measured.Observe();
                return measured["netpoll.io.transmit"] > 0;
            },
            "what was sent is counted");

        Assert.Equal(1, measured["netpoll.connection.accepted"]);
        Assert.Equal(1, measured["netpoll.connection.active"]);
        Assert.Equal(0, measured["netpoll.lingering"]);
        Assert.Equal("GET / HTTP/1.1\r\nHost: x\r\n\r\n".Length, measured["netpoll.io.receive"]);
        Assert.InRange(measured["netpoll.io.transmit"], 100, 1000);
        Assert.InRange(measured["netpoll.turns"], 1, long.MaxValue);
        Assert.InRange(measured["netpoll.events"], 1, long.MaxValue);
        Assert.Equal(0, measured["netpoll.failed_turns"]);
        Assert.Equal(0, measured[$"netpoll.accept.pauses.127.0.0.1.{server.EndPoint.Port}"]);
        Assert.Equal(0, measured[$"netpoll.accept.paused.127.0.0.1.{server.EndPoint.Port}"]);
        Assert.Equal(0, measured["netpoll.worker.limit_hits"]);
        Assert.Equal(
            ["netpoll.deadlines.passed", "netpoll.deadlines.rearmed", "netpoll.deadlines.timer", "netpoll.deadlines.void"],
            measured.Names.Where(static name => name.StartsWith("netpoll.deadlines", StringComparison.Ordinal)).Order());
        Assert.Equal(10_000, measured["netpoll.worker.limit"]);
        Assert.Equal(server.Factory!.WorkerCount, measured["netpoll.turn.limit"]);
        Assert.Equal(server.Factory.Groups.Count, measured["netpoll.group.count"]);
        Assert.Equal(
            ["netpoll.worker.count.blocked", "netpoll.worker.count.idle", "netpoll.worker.count.running", "netpoll.worker.count.spare"],
            measured.Names.Where(static name => name.StartsWith("netpoll.worker.count", StringComparison.Ordinal)).Order());
    }

    /// <summary>Work that waits is found out by the observation before.</summary>
    [Fact]
    public async Task What_blocked_handlers_do_can_be_observed()
    {
        await using Blockade blockade = await Blockade.StartAsync(
            1, static setup => setup.Netpoll += static options => options.MaxWorkerCount = 3);
        using var measured = new Measured(blockade.Server.Services.GetRequiredService<IMeterFactory>());
        await blockade.BlockAsync(3);

        await Patience.UntilAsync(
            () =>
            {
                measured.Observe();
                return measured["netpoll.worker.count.blocked"] == 2
                    && measured["netpoll.worker.count.running"] == 1
                    && measured["netpoll.worker.missing"] == 1
                    && measured["netpoll.worker.limit_hits"] >= 1
                    && measured["netpoll.queue.length"] >= 1
                    && measured["netpoll.queue.time"] > 0
                    && measured.Names.Any(static name => name.StartsWith("netpoll.handoff.delay.", StringComparison.Ordinal));
            },
            "the metrics say so");
        string[] reasons = ["managed_wait", "kernel_wait", "computing", "short_waits", "long_turn"];
        double handOffs = reasons.Sum(reason => measured[$"netpoll.handoffs.{reason}"]);
        Assert.InRange(handOffs, 2, long.MaxValue);
        await blockade.ReleaseAsync();
    }

    [Fact]
    public void Only_the_bytes_are_worth_a_walk_over_the_connections()
    {
        using ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        IMeterFactory meters = services.GetRequiredService<IMeterFactory>();
        int bytes = 0;
        NetpollMetrics.Register(meters, CreateSource(() => (Received: ++bytes, Sent: 7)));
        using var measured = new Measured(meters);

        measured.Observe();

        Assert.Equal(1, bytes);
        Assert.Equal((1.0, 7.0), (measured["netpoll.io.receive"], measured["netpoll.io.transmit"]));
    }

    [Fact]
    public void Nothing_is_measured_while_nobody_listens()
    {
        using ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        IMeterFactory meters = services.GetRequiredService<IMeterFactory>();
        HandOffDelay delay = NetpollMetrics.Register(meters, CreateSource(static () => default));
        Assert.False(delay.IsListenedTo);
        using (var measured = new Measured(meters))
        {
            Assert.True(delay.IsListenedTo);
            delay.Record(HandOffReason.KernelWait, 2_000_000);
            Assert.Equal(0.002, measured["netpoll.handoff.delay.kernel_wait"]);
        }

        Assert.False(delay.IsListenedTo);
    }

    [Fact]
    public void Where_accepting_pauses_is_a_tag()
    {
        using ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        IMeterFactory meters = services.GetRequiredService<IMeterFactory>();
        NetpollMetrics.Register(meters, CreateSource(static () => default,
            new ListenerState(new IPEndPoint(IPAddress.IPv6Loopback, 80), 3, IsPaused: true),
            new ListenerState(new UnixDomainSocketEndPoint("/run/x.sock"), 0, IsPaused: false)));
        using var measured = new Measured(meters);

        measured.Observe();

        Assert.Equal((3.0, 1.0), (measured["netpoll.accept.pauses.::1.80"], measured["netpoll.accept.paused.::1.80"]));
        Assert.Equal((0.0, 0.0), (measured["netpoll.accept.pauses./run/x.sock"], measured["netpoll.accept.paused./run/x.sock"]));
    }

    [Fact]
    public void Limits_and_queues_are_observed_by_what_they_are_of()
    {
        using ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        IMeterFactory meters = services.GetRequiredService<IMeterFactory>();
        var endPoint = new IPEndPoint(IPAddress.Loopback, 80);
        NetpollMetrics.Register(meters, new MetricsSource
        {
            Counters = static () => new NetpollTransportStatistics
            {
                FirstByteTimeouts = 1,
                ReadIdleTimeouts = 2,
                WriteStallTimeouts = 3,
                MaxConnectionAgesReached = 4,
                RefusedConnections = 5,
                ConnectionsOverAddressLimit = 6,
            },
            Bytes = static () => default,
            Groups = static () => [],
            Lingering = static () => 0,
            Listeners = static () => [],
            AcceptQueues = () => [new(endPoint, 3, 512), new(endPoint, 4, 512)],
            MaxWorkerCount = static () => 0,
        });
        using var measured = new Measured(meters);

        measured.Observe();

        string[] limits = ["first_byte_timeout", "read_idle_timeout", "write_stall_timeout", "max_connection_age"];
        Assert.Equal([1, 2, 3, 4], limits.Select(limit => measured[$"netpoll.connection.limit_hits.{limit}"]));
        Assert.Equal(5, measured["netpoll.accept.refused.on_accept"]);
        Assert.Equal(6, measured["netpoll.accept.refused.max_connections_per_address"]);
        Assert.Equal((7.0, 1024.0), (measured["netpoll.accept.queue.127.0.0.1.80"], measured["netpoll.accept.queue_limit.127.0.0.1.80"]));
    }

    internal static MetricsSource CreateSource(Func<(long Received, long Sent)> bytes, params ListenerState[] listeners) => new()
    {
        Counters = static () => default,
        Bytes = bytes,
        Groups = static () => [],
        Lingering = static () => 0,
        Listeners = () => listeners,
        AcceptQueues = static () => [],
        MaxWorkerCount = static () => 0,
    };

    [Fact]
    public async Task The_counters_are_the_statistics_without_the_bytes()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("12345");
        await connection.Transport.Input.ReadAsync().InTime();

        Assert.Equal((5, 0), harness.Factory.GetBytes());
        NetpollTransportStatistics counters = harness.Factory.GetCounters();
        Assert.Equal((1, 1, 0), (counters.AcceptedConnections, counters.ActiveConnections, counters.BytesReceived));
        Assert.Equal(5, harness.Factory.GetStatistics().BytesReceived);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }
}
