using System.Globalization;
using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scale;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>Under load, from one to the next and again: no request fails.</summary>
[OneMode]
public sealed class HandOverLoadTests : IDisposable
{
    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    [Theory]
    [InlineData(AcceptStrategy.Shared)]
    [InlineData(AcceptStrategy.ReusePort)]
    public async Task Ten_hosts_after_each_other_serve_every_request(AcceptStrategy strategy)
    {
        const int HandOvers = 10;
        List<TestServer> servers = [await StartAsync(0)];
        await using var load = new HandOverLoad(servers[0].EndPoint);
        try
        {
            await load.ServeAsync(50);
            for (int i = 1; i <= HandOvers; i++)
            {
                servers.Add(await StartAsync(i));
                await servers[0].DrainedAsync();
                await servers[0].DisposeAsync();
                servers.RemoveAt(0);
                await load.ServeAsync(20);
            }

            await load.StopAsync();
            Assert.NotEqual(0, load.Reconnects);
        }
        finally
        {
            foreach (TestServer server in servers)
            {
                await server.DisposeAsync();
            }
        }

        Task<TestServer> StartAsync(int number) => _place.StartServingAsync(netpoll: options =>
        {
            options.AcceptStrategy = strategy;
            options.WorkerGroupCount = 1 + (number % 3);
            options.WorkerCount = options.WorkerGroupCount.Value;
        });
    }

    /// <summary>The strategies, and the number of groups, change from process to process. Few: each takes a while to start.</summary>
    [Fact]
    [Slow]
    public async Task Processes_after_each_other_serve_every_request()
    {
        const int HandOvers = 3;

        // Each from the moment at which it is started: the start of another one may fail.
        List<Task<ServerProcess>> servers = [StartAsync(0, port: 0)];
        try
        {
            IPEndPoint endPoint = (await servers[0]).EndPoint;
            await using var load = new HandOverLoad(endPoint, pause: TimeSpan.FromMilliseconds(2));
            await load.ServeAsync(100);
            for (int i = 1; i <= HandOvers; i += 2)
            {
                servers.Add(StartAsync(i, endPoint.Port));
                if (i < HandOvers)
                {
                    // Two at once: one of them takes over from the other.
                    servers.Add(StartAsync(i + 1, endPoint.Port));
                }

                await Task.WhenAll(servers);
                await load.ServeAsync(50);
            }

            Task<int>[] exits = [.. (await Task.WhenAll(servers)).Select(static server => server.WaitForExitAsync())];
            await Patience.UntilAsync(() => exits.Count(static exit => exit.IsCompleted) == HandOvers, "all but the last have ended");
            Assert.All(exits.Where(static exit => exit.IsCompletedSuccessfully), static exit => Assert.Equal(0, exit.Result));

            await load.StopAsync();
            Assert.NotEqual(0, load.Reconnects);
        }
        finally
        {
            foreach (Task<ServerProcess> server in servers)
            {
                // One that has not started has been ended.
                await ((Task)server).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (server.IsCompletedSuccessfully)
                {
                    (await server).Dispose();
                }
            }
        }

        Task<ServerProcess> StartAsync(int number, int port) => ServerProcess.StartAsync(
            descriptorLimit: 1024,
            arguments:
            [
                "--urls", string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"),
                "--Kestrel:Netpoll:HandOverPath", _place.Path,
                "--Kestrel:Netpoll:HandOverGracePeriod", "00:01:00",
                "--Kestrel:Netpoll:AcceptStrategy", (number % 4 < 2 ? AcceptStrategy.ReusePort : AcceptStrategy.Shared).ToString(),
                "--Kestrel:Netpoll:WorkerCount", "3",
                "--Kestrel:Netpoll:WorkerGroupCount", (1 + (number % 3)).ToString(CultureInfo.InvariantCulture),
            ]);
    }
}
