using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>A server with routes that block their thread until they are released, and others: fast, uploading, downloading.</summary>
internal sealed class Blockade : IAsyncDisposable
{
    private readonly Obstacle _obstacle;
    private readonly List<RawClient> _clients = [];

    private Blockade(string way) => _obstacle = new Obstacle(way);

    internal TestServer Server { get; private set; } = null!;

    /// <summary>The threads that block, by name.</summary>
    internal IEnumerable<string?> BlockedThreads => _obstacle.Threads.Select(static thread => thread.Name);

    internal int OnThreadPool => _obstacle.Threads.Count(static thread => thread.IsThreadPoolThread);

    internal static async Task<Blockade> StartAsync(int workers, Action<TestServerSetup>? configure = null, string way = "event")
    {
        var blockade = new Blockade(way);
        blockade.Server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.App = blockade.RunAsync;
            setup.Netpoll = options => (options.WorkerCount, options.WorkerGroupCount, options.ApplicationScheduling) =
                (workers, 1, ApplicationScheduling.Workers);
            setup.Kestrel = static options => (options.Limits.MinRequestBodyDataRate, options.Limits.MinResponseDataRate) = (null, null);
            configure?.Invoke(setup);
        });
        return blockade;
    }

    /// <summary>Sends requests whose handlers block, each on a connection of its own, one after the other.</summary>
    internal async Task BlockAsync(int count, string path = "/blocking")
    {
        for (int i = 0; i < count; i++)
        {
            RawClient client = await Server.ConnectAsync();
            _clients.Add(client);
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        }

        await BlockedAsync(count);
    }

    internal Task BlockedAsync(int count) => Patience.UntilAsync(() => _obstacle.Threads.Count == count, "the handlers block");

    internal void Release() => _obstacle.Release();

    /// <summary>Only for "event" and "sleep".</summary>
    internal void BlockAgain() => _obstacle.BlockAgain();

    /// <summary>Releases the handlers; all their responses come.</summary>
    internal async Task ReleaseAsync()
    {
        Release();
        foreach (RawClient client in _clients)
        {
            Assert.Equal("blocked", (await client.ReadResponseAsync()).Text);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Release();
        _clients.ForEach(static client => client.Dispose());
        await Server.DisposeAsync();
        _obstacle.Dispose();
    }

    private async Task RunAsync(HttpContext context)
    {
        switch (context.Request.Path.Value)
        {
            case "/blocking":
                _obstacle.Block();
                await context.Response.WriteAsync("blocked");
                break;
            case "/blocking-later":
                await Task.Delay(1);
                _obstacle.Block();
                await context.Response.WriteAsync("blocked");
                break;
            case "/upload":
                byte[] buffer = new byte[16 * 1024];
                long received = 0;
                for (int count; (count = await context.Request.Body.ReadAsync(buffer)) != 0;)
                {
                    received += count;
                }

                await context.Response.WriteAsync(received.ToString(CultureInfo.InvariantCulture));
                break;
            case "/download":
                byte[] block = new byte[16 * 1024];
                while (!context.RequestAborted.IsCancellationRequested)
                {
                    await context.Response.Body.WriteAsync(block);
                }

                break;
            case "/thread":
                await context.Response.WriteAsync(Thread.CurrentThread.Name ?? "");
                break;
            default:
                await context.Response.WriteAsync("fast");
                break;
        }
    }
}
