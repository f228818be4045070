using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Http;

public class ServerStopTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Stopping_closes_idle_connections_and_lets_busy_ones_finish(TransportKind kind)
    {
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            if (context.Request.Path == "/busy")
            {
                busy.TrySetResult();
                await finish.Task;
            }

            await context.Response.WriteAsync("done");
        });
        using RawClient untouched = await server.ConnectAsync();
        using RawClient idle = await server.ConnectAsync();
        await idle.SendAsync(Request);
        await idle.ReadResponseAsync();
        using RawClient working = await server.ConnectAsync();
        await working.SendAsync("GET /busy HTTP/1.1\r\nHost: x\r\n\r\n");
        await busy.Task.InTime();

        Task stopping = server.StopAsync();
        Assert.Equal(PeerEnd.Fin, (await idle.ReadToEndAsync()).End);
        Assert.Equal(PeerEnd.Fin, (await untouched.ReadToEndAsync()).End);
        Assert.False(stopping.IsCompleted);
        finish.SetResult();

        Assert.Equal("done", (await working.ReadResponseAsync()).Text);
        Assert.Equal(PeerEnd.Fin, (await working.ReadToEndAsync()).End);
        await stopping;
        Assert.Equal(0, server.Pools.RentedBlocks);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Stopping_resets_connections_that_do_not_finish(TransportKind kind)
    {
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.ShutdownTimeout = TimeSpan.FromMilliseconds(200);
            setup.App = async context =>
            {
                context.RequestAborted.Register(() => aborted.TrySetResult());
                busy.TrySetResult();
                await aborted.Task;
            };
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Request);
        await busy.Task.InTime();

        await server.StopAsync();

        await aborted.Task.InTime();
        Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Stopping_ends_while_uploads_and_downloads_are_stuck(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.ShutdownTimeout = TimeSpan.FromMilliseconds(200);
            setup.App = async context =>
            {
                if (context.Request.ContentLength > 0)
                {
                    await context.Request.Body.CopyToAsync(Stream.Null);
                }
                else
                {
                    await context.Response.Body.WriteAsync(new byte[64 * 1024 * 1024]);
                }
            };
        });
        using RawClient uploading = await server.ConnectAsync();
        await uploading.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly a part");
        using RawClient notReading = await server.ConnectAsync();
        await notReading.SendAsync(Request);
        await notReading.ReadExactlyAsync(100);

        await server.StopAsync();

        Assert.Equal(PeerEnd.Reset, (await notReading.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
    }

    [Fact]
    public async Task Stopping_ends_while_every_worker_is_blocked()
    {
        using var release = new ManualResetEventSlim();
        int blocked = 0;
        TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = options => options.WorkerCount = 2;
            setup.ShutdownTimeout = TimeSpan.FromMilliseconds(200);
            setup.App = _ =>
            {
                Interlocked.Increment(ref blocked);
                release.Wait();
                return Task.CompletedTask;
            };
        });
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < 2; i++)
            {
                clients.Add(await server.ConnectAsync());
                await clients[i].SendAsync(Request);
                await Patience.UntilAsync(() => Volatile.Read(ref blocked) == i + 1, "the request is being served");
            }

            await server.StopAsync().WaitAsync(TimeSpan.FromSeconds(30));
        }
        finally
        {
            release.Set();
            clients.ForEach(static client => client.Dispose());
            await server.DisposeAsync();
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Requests_are_served_up_to_the_stop(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind);
        using var stop = new CancellationTokenSource();
        int served = 0;
        Task[] clients = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            using RawClient client = await server.ConnectAsync();
            while (true)
            {
                // Every response that begins is whole; the connection ends between responses.
                await client.SendAsync(Request);
                byte[] first = new byte[1];
                int count;
                try
                {
                    count = await client.ReceiveAsync(first);
                }
                catch (SocketException) when (stop.IsCancellationRequested)
                {
                    return;
                }

                if (count == 0)
                {
                    Assert.True(stop.IsCancellationRequested);
                    return;
                }

                Assert.Equal(200, (await client.ReadResponseAsync()).Status);
                Interlocked.Increment(ref served);
            }
        }))];
        await Patience.UntilAsync(() => served > 200, "200 requests have been served");

        await stop.CancelAsync();
        await server.StopAsync();

        await Task.WhenAll(clients).InTime();
    }
}
