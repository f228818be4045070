using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Connections;

// Counts the descriptors of the whole process.
[Collection(nameof(Alone))]
public class LeakTests
{
    private const int Connections = 2_000;
    private const int AtOnce = 50;

    [Fact]
    public async Task Two_thousand_connections_leave_nothing_behind()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);
        await RunAsync(server, AtOnce);
        int before = await OpenDescriptorsAsync();

        await RunAsync(server, Connections);

        // A descriptor of another kind may come or go meanwhile; two thousand may not.
        await Patience.UntilAsync(() => Count() <= before + 8, "the descriptors are closed");
        await Patience.UntilAsync(() => server.Factory!.GetStatistics().ActiveConnections == 0, "the connections are gone");
        await server.Pools.AllReturnedAsync();
        Assert.Equal(Connections + AtOnce, server.Factory!.GetStatistics().AcceptedConnections);
        await server.StopAsync();
        Assert.Equal(0, server.Pools.RentedBlocks);
    }

    [Fact]
    public async Task A_stopped_server_leaves_no_descriptor_behind()
    {
        int before = await OpenDescriptorsAsync();
        for (int i = 0; i < 3; i++)
        {
            await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);
            await RunAsync(server, AtOnce);
        }

        await Patience.UntilAsync(() => Count() <= before + 8, "the descriptors are closed");
    }

    [Fact]
    public async Task Disposing_the_factory_under_live_connections_closes_them_first()
    {
        TransportHarness harness = await TransportHarness.StartAsync();
        List<(ConnectionContext Server, RawClient Client)> connections = [];
        for (int i = 0; i < 10; i++)
        {
            (ConnectionContext connection, RawClient client) = await harness.ConnectAsync();
            connection.ConnectionClosed.Register(() => _ = connection.DisposeAsync().AsTask());
            connections.Add((connection, client));
        }

        await harness.DisposeAsync();
        await harness.DisposeAsync();
        harness.Factory.Dispose();

        foreach ((ConnectionContext connection, RawClient client) in connections)
        {
            Assert.True(connection.ConnectionClosed.IsCancellationRequested);
            Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
            client.Dispose();
        }

        Assert.Equal(0, harness.Pools.RentedBlocks);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => harness.Factory.BindAsync(harness.Listener.EndPoint).AsTask());
    }

    private static async Task RunAsync(TestServer server, int connections)
    {
        for (int done = 0; done < connections; done += AtOnce)
        {
            await Task.WhenAll(Enumerable.Range(done, AtOnce).Select(i => OneAsync(server, i)));
        }
    }

    // In turns: closed by the client, closed by the server, reset after a response, reset without one.
    private static async Task OneAsync(TestServer server, int i)
    {
        using RawClient client = await server.ConnectAsync();
        string close = i % 4 == 1 ? "Connection: close\r\n" : "";
        await client.SendAsync($"GET / HTTP/1.1\r\nHost: x\r\n{close}\r\n");
        if (i % 4 != 3)
        {
            Assert.Equal(StatusCodes.Status200OK, (await client.ReadResponseAsync()).Status);
        }

        switch (i % 4)
        {
            case 0:
                client.ShutdownSend();
                await client.ReadToEndAsync();
                break;
            case 1:
                Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
                break;
            default:
                client.Reset();
                break;
        }
    }

    /// <summary>Sockets of earlier tests that nobody disposed of are closed by their finalizers.</summary>
    private static async Task<int> OpenDescriptorsAsync()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        int last = Count();
        for (int unchanged = 0; unchanged < 5; unchanged++)
        {
            await Task.Delay(20);
            int now = Count();
            if (now != last)
            {
                (last, unchanged) = (now, 0);
            }
        }

        return last;
    }

    private static int Count() => Directory.GetFileSystemEntries("/proc/self/fd").Length;
}
