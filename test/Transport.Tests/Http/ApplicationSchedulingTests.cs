using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Http;

[OneMode]
public class ApplicationSchedulingTests
{
    [Theory]
    [InlineData(ApplicationScheduling.Workers, false)]
    [InlineData(ApplicationScheduling.ThreadPool, true)]
    public async Task A_handler_runs_where_the_option_says(ApplicationScheduling scheduling, bool onThreadPool)
    {
        await using TestServer server = await StartAsync(
            scheduling, context => context.Response.WriteAsync(Thread.CurrentThread.IsThreadPoolThread.ToString()));
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(onThreadPool.ToString(), (await client.ReadResponseAsync()).Text);
        }
    }

    [Fact]
    public async Task On_the_thread_pool_blocking_handlers_hold_no_worker()
    {
        using var release = new ManualResetEventSlim();
        await using TestServer server = await StartAsync(ApplicationScheduling.ThreadPool, context =>
        {
            if (context.Request.Path == "/block")
            {
                release.Wait(Patience.Limit);
            }

            return context.Response.WriteAsync("done");
        });
        List<RawClient> blocked = [];
        for (int i = 0; i < 4; i++)
        {
            RawClient client = await server.ConnectAsync();
            blocked.Add(client);
            await client.SendAsync("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
        }

        using RawClient fast = await server.ConnectAsync();
        await fast.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("done", (await fast.ReadResponseAsync()).Text);

        release.Set();
        foreach (RawClient client in blocked)
        {
            Assert.Equal("done", (await client.ReadResponseAsync()).Text);
            client.Dispose();
        }
    }

    [Fact]
    public async Task On_the_thread_pool_a_large_body_and_pipelined_requests_arrive_whole()
    {
        await using TestServer server = await StartAsync(ApplicationScheduling.ThreadPool, async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            await context.Response.WriteAsync(body.Length.ToString(CultureInfo.InvariantCulture));
        });
        using RawClient client = await server.ConnectAsync();
        var requests = new StringBuilder();
        for (int i = 0; i < 50; i++)
        {
            requests.Append(CultureInfo.InvariantCulture, $"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {i}\r\n\r\n").Append('x', i);
        }

        await client.SendAsync(requests.ToString());
        for (int i = 0; i < 50; i++)
        {
            Assert.Equal(i.ToString(CultureInfo.InvariantCulture), (await client.ReadResponseAsync()).Text);
        }

        const int Large = 20_000_000;
        await client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {Large}\r\n\r\n");
        await client.SendAsync(new byte[Large]);
        Assert.Equal("20000000", (await client.ReadResponseAsync()).Text);
    }

    [Fact]
    public async Task A_connection_that_may_hold_a_block_holds_one_and_gives_it_back()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { WorkerCount = 2, WaitForDataBeforeAllocatingBuffer = false });
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            await client.SendAsync(new string('x', 1 + (i * 700)));
            ReadResult read = await connection.Transport.Input.ReadAtLeastAsync(1 + (i * 700)).InTime();
            connection.Transport.Input.AdvanceTo(read.Buffer.End);
        }

        Assert.Equal(1, harness.Pools.RentedBlocks);
        await connection.DisposeAsync().InTime();
        Assert.Equal(0, harness.Pools.RentedBlocks);
        client.Dispose();
    }

    private static Task<TestServer> StartAsync(ApplicationScheduling scheduling, RequestDelegate app) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.App = app;
            setup.Netpoll = options =>
            {
                options.WorkerCount = 2;
                options.ApplicationScheduling = scheduling;
            };
        });
}
