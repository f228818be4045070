using System.Net;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Listening;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Listening;

public class AcceptQueueTests
{
    [Fact]
    public async Task Nothing_is_accepted_before_somebody_asks()
    {
        // With more groups, the connection that came second may be the first to be accepted.
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 1 });
        using RawClient client = await harness.ConnectClientAsync();
        using RawClient other = await harness.ConnectClientAsync();

        Assert.Equal(0, harness.Factory.GetStatistics().AcceptedConnections);

        await using NetpollConnection connection = await harness.AcceptAsync();
        Assert.Equal(client.Socket.LocalEndPoint, connection.RemoteEndPoint);
    }

    [Fact]
    public async Task A_loop_that_does_not_come_back_is_not_run_ahead_of_for_long()
    {
        // With more groups, each may have accepted one more.
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 1 });
        List<RawClient> clients = [];
        for (int i = 0; i < 3 * AcceptQueue.Capacity; i++)
        {
            clients.Add(await harness.ConnectClientAsync());
        }

        List<NetpollConnection> connections = [await harness.AcceptAsync()];
        await Patience.UntilAsync(
            () => harness.Factory.GetStatistics().AcceptedConnections == 1 + AcceptQueue.Capacity, "the queue is full");

        // A connection that comes later does not start it again either.
        clients.Add(await harness.ConnectClientAsync());
        Assert.Equal(1 + AcceptQueue.Capacity, harness.Factory.GetStatistics().AcceptedConnections);

        while (connections.Count < clients.Count)
        {
            connections.Add(await harness.AcceptAsync());
        }

        Assert.Equal(
            clients.Select(static client => client.Socket.LocalEndPoint!.ToString()).Order(),
            connections.Select(static connection => connection.RemoteEndPoint!.ToString()).Order());
        await EndAsync(clients, connections);
    }

    [Fact]
    public async Task What_nobody_has_taken_can_be_taken_after_the_listener_is_unbound()
    {
        await using TransportHarness harness = await OneOfTwoAsync();
        using RawClient taken = await harness.ConnectClientAsync();
        using RawClient other = await harness.ConnectClientAsync();
        await using NetpollConnection connection = await harness.AcceptAsync();
        await Patience.UntilAsync(() => harness.Factory.GetStatistics().AcceptedConnections == 2, "the second one is accepted");

        // An unbind waits for Kestrel to begin to read from what it has just got.
        connection.Transport.Input.TryRead(out _);
        await harness.Listener.UnbindAsync().InTime();

        await using NetpollConnection second = await harness.AcceptAsync();
        Assert.Null(await harness.Listener.AcceptAsync().InTime());
        foreach ((NetpollConnection server, RawClient client) in new[] { (connection, taken), (second, other) })
        {
            await server.Transport.Output.WriteAsync("x"u8.ToArray()).InTime();
            Assert.Equal("x"u8.ToArray(), await client.ReadExactlyAsync(1));
        }
    }

    [Fact]
    public async Task What_nobody_has_taken_is_reset_when_the_listener_is_disposed_of()
    {
        await using TransportHarness harness = await OneOfTwoAsync();
        using RawClient taken = await harness.ConnectClientAsync();
        using RawClient undelivered = await harness.ConnectClientAsync();
        await using NetpollConnection connection = await harness.AcceptAsync();
        await Patience.UntilAsync(() => harness.Factory.GetStatistics().AcceptedConnections == 2, "the second one is accepted");

        await harness.Listener.DisposeAsync().InTime();

        Assert.Equal(PeerEnd.Reset, (await undelivered.ReadToEndAsync()).End);
        Assert.Null(await harness.Listener.AcceptAsync().InTime());
        Assert.Equal(1, harness.Factory.GetStatistics().ActiveConnections);
        await connection.Transport.Output.WriteAsync("x"u8.ToArray()).InTime();
        Assert.Equal("x"u8.ToArray(), await taken.ReadExactlyAsync(1));
    }

    [Fact]
    public async Task Accepting_and_cancelling_at_once_loses_no_connection()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        for (int i = 0; i < 200; i++)
        {
            using var cancellation = new CancellationTokenSource();
            Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync(cancellation.Token).AsTask();
            Task cancelling = Task.Run(cancellation.Cancel);
            using RawClient client = await harness.ConnectClientAsync();
            await cancelling.InTime();

            ConnectionContext? connection;
            try
            {
                connection = await accepting.InTime();
            }
            catch (OperationCanceledException)
            {
                connection = await harness.AcceptAsync();
            }

            Assert.Equal(client.Socket.LocalEndPoint, connection!.RemoteEndPoint);
            await connection.DisposeAsync().InTime();
        }
    }

    [Fact]
    public async Task A_result_that_is_asked_for_too_early_leaves_the_accept_outstanding()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        ValueTask<ConnectionContext?> accepting = harness.Listener.AcceptAsync();

        // What a value task does that is not there yet and is asked all the same.
        Assert.Throws<InvalidOperationException>(() => accepting.GetAwaiter().GetResult());

        await Assert.ThrowsAsync<InvalidOperationException>(() => harness.Listener.AcceptAsync().AsTask());
        using RawClient client = await harness.ConnectClientAsync();
        await using var connection = Assert.IsType<NetpollConnection>(await accepting.InTime());

        // Nor does one that was taken already.
        ValueTask<ConnectionContext?> next = harness.Listener.AcceptAsync();
        Assert.ThrowsAny<Exception>(() => accepting.GetAwaiter().GetResult());
        await Assert.ThrowsAsync<InvalidOperationException>(() => harness.Listener.AcceptAsync().AsTask());
        connection.Transport.Input.TryRead(out _);
        await harness.Listener.UnbindAsync().InTime();
        Assert.Null(await next.InTime());
    }

    [OneMode]
    [Theory]
    [InlineData(1, AcceptStrategy.Shared)]
    [InlineData(2, AcceptStrategy.Shared)]
    [InlineData(4, AcceptStrategy.Shared)]
    [InlineData(2, AcceptStrategy.ReusePort)]
    [InlineData(4, AcceptStrategy.ReusePort)]
    public async Task Any_number_of_groups_serves_one_endpoint(int groups, AcceptStrategy strategy)
    {
        var options = new NetpollTransportOptions { WorkerCount = 4, WorkerGroupCount = groups, AcceptStrategy = strategy };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);
        List<RawClient> clients = [];
        List<NetpollConnection> connections = [];
        for (int i = 0; i < 200; i++)
        {
            clients.Add(await harness.ConnectClientAsync());
        }

        while (connections.Count < clients.Count)
        {
            connections.Add(await harness.AcceptAsync());
        }

        Assert.Equal(
            clients.Select(static client => client.Socket.LocalEndPoint!.ToString()).Order(),
            connections.Select(static connection => connection.RemoteEndPoint!.ToString()).Order());
        foreach (NetpollConnection connection in connections)
        {
            await connection.Transport.Output.WriteAsync("x"u8.ToArray()).InTime();
        }

        foreach (RawClient client in clients)
        {
            Assert.Equal("x"u8.ToArray(), await client.ReadExactlyAsync(1));
        }

        // An unbind waits for Kestrel to begin to read from those that it has just got.
        connections.ForEach(static connection => connection.Transport.Input.TryRead(out _));
        await harness.Listener.UnbindAsync().InTime();
        IConnectionListener again = await harness.Factory.BindAsync(harness.Listener.EndPoint);
        Assert.Equal(harness.Listener.EndPoint, again.EndPoint);
        await EndAsync(clients, connections);
    }

    [Fact]
    public async Task A_shared_address_refuses_a_second_listener_and_a_reused_one_does_not()
    {
        var shared = new NetpollTransportOptions { WorkerCount = 2 };
        await using TransportHarness first = await TransportHarness.StartAsync(options: shared);
        await Assert.ThrowsAsync<AddressInUseException>(() => first.Factory.BindAsync(first.Listener.EndPoint).AsTask());

        var reused = new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 2, AcceptStrategy = AcceptStrategy.ReusePort };
        await using TransportHarness second = await TransportHarness.StartAsync(options: reused);
        IConnectionListener beside = await second.Factory.BindAsync((IPEndPoint)second.Listener.EndPoint);
        Assert.Equal(second.Listener.EndPoint, beside.EndPoint);
    }

    [Fact]
    public async Task With_one_group_reusing_has_no_effect_and_a_second_listener_is_refused()
    {
        var options = new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 1, AcceptStrategy = AcceptStrategy.ReusePort };
        await using TransportHarness first = await TransportHarness.StartAsync(options: options);

        await Assert.ThrowsAsync<AddressInUseException>(
            () => TransportHarness.StartAsync(options: options, endPoint: first.Listener.EndPoint));
    }

    // With more groups, the connection that came second may be the first to be accepted.
    private static Task<TransportHarness> OneOfTwoAsync() =>
        TransportHarness.StartAsync(options: new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 1 });

    private static async Task EndAsync(List<RawClient> clients, List<NetpollConnection> connections)
    {
        clients.ForEach(static client => client.Dispose());
        foreach (NetpollConnection connection in connections)
        {
            await connection.DisposeAsync().InTime();
        }
    }
}
