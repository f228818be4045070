using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Listening;

public class ListenerTests
{
    [Fact]
    public async Task The_port_is_known_when_binding_returns()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();

        var endPoint = Assert.IsType<IPEndPoint>(harness.Listener.EndPoint);
        Assert.Equal(IPAddress.Loopback, endPoint.Address);
        Assert.NotEqual(0, endPoint.Port);
    }

    [Fact]
    public async Task A_connection_in_the_backlog_is_accepted_at_once_and_a_later_one_when_it_comes()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();

        using RawClient early = await harness.ConnectClientAsync();
        await using ConnectionContext first = await harness.AcceptAsync();
        Assert.Equal(early.Socket.LocalEndPoint, first.RemoteEndPoint);
        Assert.Equal(harness.Listener.EndPoint, first.LocalEndPoint);

        Task<NetpollConnection> accepting = harness.AcceptAsync();
        Assert.False(accepting.IsCompleted);
        using RawClient late = await harness.ConnectClientAsync();
        await using ConnectionContext second = await accepting;
        Assert.Equal(late.Socket.LocalEndPoint, second.RemoteEndPoint);
        Assert.Equal(2, harness.Factory.GetStatistics().AcceptedConnections);
    }

    [Fact]
    public async Task A_burst_larger_than_the_fairness_limit_is_accepted_completely()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        List<RawClient> clients = [];
        for (int i = 0; i < 200; i++)
        {
            clients.Add(await harness.ConnectClientAsync());
        }

        HashSet<string> ids = [];
        for (int i = 0; i < clients.Count; i++)
        {
            NetpollConnection connection = await harness.AcceptAsync();
            Assert.True(ids.Add(connection.ConnectionId));
            await connection.DisposeAsync().InTime();
        }

        clients.ForEach(static client => client.Dispose());
    }

    [Fact]
    public async Task Only_one_accept_at_a_time()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();

        Task<ConnectionContext?> first = harness.Listener.AcceptAsync().AsTask();
        await Assert.ThrowsAsync<InvalidOperationException>(() => harness.Listener.AcceptAsync().AsTask());

        await harness.Listener.UnbindAsync().InTime();
        Assert.Null(await first.InTime());
        Assert.Null(await harness.Listener.AcceptAsync().InTime());
    }

    [Fact]
    public async Task Unbinding_ends_the_accept_frees_the_port_and_keeps_connections()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync().AsTask();
        Assert.False(accepting.IsCompleted);

        // Kestrel passes a cancelled token when it is disposed without having been stopped.
        await harness.Listener.UnbindAsync(new CancellationToken(canceled: true)).InTime();

        Assert.Null(await accepting.InTime());
        Assert.Empty(harness.Factory.EndPoints);
        SocketException refused = await Assert.ThrowsAsync<SocketException>(harness.ConnectClientAsync);
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        IConnectionListener again = await harness.Factory.BindAsync(harness.Listener.EndPoint);
        Assert.Equal(harness.Listener.EndPoint, again.EndPoint);

        await connection.Transport.Output.WriteAsync("alive"u8.ToArray()).InTime();
        Assert.Equal("alive"u8.ToArray(), await client.ReadExactlyAsync(5));
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Theory]
    [InlineData("parked")]
    [InlineData("delayed")]
    public async Task Unbinding_needs_no_worker(string accept)
    {
        var kernel = new FailingAcceptKernel();
        await using TransportHarness harness = await TransportHarness.StartAsync(kernel, new NetpollTransportOptions { WorkerCount = 1 });
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using var blocked = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        Task blocking = BlockWorkerAsync(connection, blocked, release);
        await client.SendAsync("x");
        Assert.True(blocked.Wait(Patience.Limit));
        try
        {
            kernel.Full = accept == "delayed";
            Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync().AsTask();

            await harness.Listener.UnbindAsync().InTime();

            Assert.Null(await accepting.InTime());
            Assert.Null(await harness.Listener.AcceptAsync().InTime());
        }
        finally
        {
            release.Set();
        }

        await blocking.InTime();
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task Unbinding_and_disposing_in_any_number_and_order_is_harmless()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        IConnectionListener neverUnbound = await harness.Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => harness.Listener.UnbindAsync().InTime())));
        await harness.Listener.DisposeAsync().InTime();
        await harness.Listener.UnbindAsync().InTime();
        await harness.Listener.DisposeAsync().InTime();
        await neverUnbound.DisposeAsync().InTime();
        await neverUnbound.DisposeAsync().InTime();
        Assert.Null(await neverUnbound.AcceptAsync().InTime());
    }

    [Fact]
    public async Task A_cancelled_accept_throws_and_the_next_one_works()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        using var cancellation = new CancellationTokenSource();
        Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync(cancellation.Token).AsTask();

        await cancellation.CancelAsync();

        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.InTime());
        Assert.Equal(cancellation.Token, e.CancellationToken);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => harness.Listener.AcceptAsync(cancellation.Token).InTime());
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task Disposing_and_unbinding_at_once_is_harmless()
    {
        for (int i = 0; i < 20; i++)
        {
            await using TransportHarness harness = await TransportHarness.StartAsync();
            IConnectionListener[] listeners = [.. await Task.WhenAll(Enumerable.Range(0, 8).Select(
                _ => harness.Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0)).AsTask()))];

            Task[] unbinding = [.. listeners.Select(static listener => Task.Run(() => listener.UnbindAsync().InTime()))];
            await harness.Factory.DisposeAsync().InTime();

            await Task.WhenAll(unbinding).InTime();
        }
    }

    [Fact]
    public async Task Connecting_and_unbinding_at_once_always_ends_the_accept_loop()
    {
        for (int i = 0; i < 50; i++)
        {
            await using TransportHarness harness = await TransportHarness.StartAsync();
            Task loop = Task.Run(async () =>
            {
                while (await harness.Listener.AcceptAsync() is { } connection)
                {
                    await connection.DisposeAsync();
                }
            });
            using RawClient client = await harness.ConnectClientAsync();

            await harness.Listener.UnbindAsync().InTime();

            await loop.InTime();
        }
    }

    private static async Task BlockWorkerAsync(ConnectionContext connection, ManualResetEventSlim blocked, ManualResetEventSlim release)
    {
        await connection.Transport.Input.ReadAsync().ConfigureAwait(false);
        blocked.Set();
        release.Wait(Patience.Limit);
    }
}
