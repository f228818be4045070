using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>
/// What <see cref="ApplicationScheduling.WorkersOnly"/> is for: handlers that block after they have awaited something, or in HTTP/2 streams, hold
/// workers, which are replaced, and no thread of the pool.
/// </summary>
[OneMode]
public sealed class BlockingAfterAwaitTests
{
    private const int Blocked = 30;

    [Theory]
    [InlineData("event", 1)]
    [InlineData("kernel", 1)]
    [InlineData("sleep", 2)]
    public async Task Everything_else_goes_on(string way, int workers)
    {
        await using Blockade blockade = await Blockade.StartAsync(workers, WorkersOnly, way);
        await blockade.BlockAsync(Blocked, "/blocking-later");
        Assert.Equal(0, blockade.OnThreadPool);
        for (int i = 0; i < 20; i++)
        {
            using RawClient client = await blockade.Server.ConnectAsync();
            await client.SendAsync("GET /fast HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
        }

        await blockade.ReleaseAsync();
        Assert.Empty(blockade.Server.Logs.Above(LogLevel.Information));
    }

    /// <summary>All on one connection: Kestrel queues its streams to the thread pool.</summary>
    [Theory]
    [InlineData("/blocking")]
    [InlineData("/blocking-later")]
    public async Task Other_streams_of_an_HTTP2_connection_go_on(string path)
    {
        await using Blockade blockade = await Blockade.StartAsync(workers: 1, setup =>
        {
            WorkersOnly(setup);
            setup.Endpoint = static options => options.Protocols = HttpProtocols.Http2;
        });
        using HttpClient client = HttpClients.Create(blockade.Server, "2.0");
        Task<string>[] blocked = [.. Enumerable.Range(0, Blocked).Select(_ => client.GetStringAsync(new Uri(path, UriKind.Relative)))];
        await blockade.BlockedAsync(Blocked);
        Assert.Equal(0, blockade.OnThreadPool);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal("fast", await client.GetStringAsync(new Uri("/fast", UriKind.Relative)).InTime());
        }

        Assert.All(blocked, static stream => Assert.False(stream.IsCompleted));
        blockade.Release();
        Assert.All(await Task.WhenAll(blocked).InTime(), static answer => Assert.Equal("blocked", answer));
    }

    /// <summary>
    /// Each waits for a continuation of its own, and there is one worker for all of them: those that wait are replaced until one is left to run
    /// what they wait for.
    /// </summary>
    [Fact]
    public async Task Many_that_wait_for_tasks_of_their_own_are_no_deadlock()
    {
        using CountdownEvent all = new(Blocked);
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = static options => (options.WorkerCount, options.WorkerGroupCount) = (1, 1);
            WorkersOnly(setup);
            setup.App = context =>
            {
                // Not before all are there, so that all of them wait at the same time.
                async Task<string> SlowAsync()
                {
                    all.Signal();
                    while (!all.IsSet)
                    {
                        await Task.Delay(1);
                    }

                    return Thread.CurrentThread.Name ?? "";
                }

                return context.Response.WriteAsync(SlowAsync().Result);
            };
        });
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < Blocked; i++)
            {
                clients.Add(await server.ConnectAsync());
                await clients[i].SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            }

            foreach (RawClient client in clients)
            {
                Assert.StartsWith("netpoll worker", (await client.ReadResponseAsync()).Text, StringComparison.Ordinal);
            }
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    private static void WorkersOnly(TestServerSetup setup) =>
        setup.Netpoll += static options => options.ApplicationScheduling = ApplicationScheduling.WorkersOnly;
}
