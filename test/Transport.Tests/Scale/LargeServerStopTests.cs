using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Scale;

// Counts the descriptors and threads of the whole process.
[Collection(nameof(Alone))]
public class LargeServerStopTests
{
    private const int Idle = 100;
    private const int Busy = 100;
    private const int Hung = 5;

    // The threads of a transport, as the kernel cuts their name.
    private const string WorkerName = "netpoll worker";

    [Slow]
    [OneMode]
    [Fact]
    public async Task A_stop_serves_the_busy_lets_the_idle_go_aborts_the_hung_and_leaves_nothing_behind()
    {
        await WarmUpAsync();
        await Patience.UntilAsync(static () => ProcessState.ThreadsNamed(WorkerName) == 0, "the workers of earlier tests have gone");
        int before = await ProcessState.SettledDescriptorsAsync();

        using var app = new App();
        TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = static options => options.WorkerCount = 16;
            setup.ShutdownTimeout = TimeSpan.FromSeconds(2);
            setup.App = app.RunAsync;
        });
        List<RawClient> all = [];
        try
        {
            List<RawClient> idle = await ConnectAsync(server, all, Idle);
            foreach (RawClient client in idle)
            {
                await client.SendAsync(RequestFor("/"));
                Assert.Equal("done", (await client.ReadResponseAsync()).Text);
            }

            List<RawClient> busy = await ConnectAsync(server, all, Busy);
            await RequestAsync(busy, "/busy", app);
            List<RawClient> hung = await ConnectAsync(server, all, 2 * Hung);
            await RequestAsync(hung[..Hung], "/deaf", app);
            await RequestAsync(hung[Hung..], "/blocking", app);
            Assert.True(ProcessState.ThreadsNamed(WorkerName) >= 16, "This test looks for threads of another name.");

            Task stopping = server.StopAsync();
            foreach (RawClient client in idle)
            {
                Assert.Equal(([], PeerEnd.Fin), await client.ReadToEndAsync());
                app.Finish.TrySetResult();
            }

            foreach (RawClient client in busy)
            {
                Assert.Equal("done", (await client.ReadResponseAsync()).Text);
                Assert.Equal(([], PeerEnd.Fin), await client.ReadToEndAsync());
            }

            foreach (RawClient client in hung)
            {
                Assert.Equal(([], PeerEnd.Reset), await client.ReadToEndAsync());
            }

            await stopping;
        }
        finally
        {
            app.ReleaseAll();
            all.ForEach(static client => client.Dispose());
            await server.DisposeAsync();
        }

        await Patience.UntilAsync(static () => ProcessState.ThreadsNamed(WorkerName) == 0, "the workers have gone");
        await server.Pools.AllReturnedAsync();
        await Patience.UntilAsync(() => ProcessState.OpenDescriptors() <= before, "the descriptors are closed");
        Assert.Empty(server.Logs.Above(LogLevel.Warning));
    }

    // What the process opens once and keeps, such as the runtime's own poller for the clients.
    private static async Task WarmUpAsync()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(RequestFor("/"));
        await client.ReadResponseAsync();
    }

    private static async Task<List<RawClient>> ConnectAsync(TestServer server, List<RawClient> all, int count)
    {
        List<RawClient> clients = [];
        for (int i = 0; i < count; i++)
        {
            clients.Add(await server.ConnectAsync());
            all.Add(clients[i]);
        }

        return clients;
    }

    // One after the other: a worker that is about to be blocked must not hold another's turn.
    private static async Task RequestAsync(List<RawClient> clients, string path, App app)
    {
        foreach (RawClient client in clients)
        {
            int before = app.Entered;
            await client.SendAsync(RequestFor(path));
            await Patience.UntilAsync(() => app.Entered == before + 1, "the request is being served");
        }
    }

    private static string RequestFor(string path) => $"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n";

    private sealed class App : IDisposable
    {
        private readonly ManualResetEventSlim _unblock = new();
        private readonly TaskCompletionSource _listen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _entered;

        internal TaskCompletionSource Finish { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal int Entered => Volatile.Read(ref _entered);

        internal void ReleaseAll()
        {
            Finish.TrySetResult();
            _listen.TrySetResult();
            _unblock.Set();
        }

        public void Dispose() => _unblock.Dispose();

        internal async Task RunAsync(HttpContext context)
        {
            Interlocked.Increment(ref _entered);
            switch (context.Request.Path.Value)
            {
                case "/busy":
                    await Finish.Task;
                    break;
                case "/deaf":
                    await _listen.Task;
                    break;
                case "/blocking":
                    _unblock.Wait(CancellationToken.None);
                    break;
            }

            await context.Response.WriteAsync("done");
        }
    }
}
