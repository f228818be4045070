using System.Globalization;
using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scale;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>Under load, from one to the next and again: no request fails.</summary>
[OneMode]
public sealed class HandOverLoadTests : IDisposable
{
    private const int HandOvers = 10;

    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    [Theory]
    [InlineData(AcceptStrategy.Shared)]
    [InlineData(AcceptStrategy.ReusePort)]
    public async Task Ten_hosts_after_each_other_serve_every_request(AcceptStrategy strategy)
    {
        TestServer server = await StartAsync(0);
        await using var load = new HandOverLoad(server.EndPoint);
        try
        {
            await load.ServeAsync(50);
            for (int i = 1; i <= HandOvers; i++)
            {
                TestServer next = await StartAsync(i);
                await server.DrainedAsync();
                await server.DisposeAsync();
                server = next;
                await load.ServeAsync(20);
            }

            await load.StopAsync();
            Assert.NotEqual(0, load.Reconnects);
        }
        finally
        {
            await server.DisposeAsync();
        }

        Task<TestServer> StartAsync(int number) => _place.StartServingAsync(netpoll: options =>
        {
            options.AcceptStrategy = strategy;
            options.WorkerGroupCount = 1 + (number % 3);
            options.WorkerCount = options.WorkerGroupCount.Value;
        });
    }

    /// <summary>The strategies, and the number of groups, change from process to process.</summary>
    [Fact]
    [Slow]
    public async Task Ten_processes_after_each_other_serve_every_request()
    {
        List<ServerProcess> servers = [await StartAsync(0, port: 0)];
        IPEndPoint endPoint = servers[0].EndPoint;
        await using var load = new HandOverLoad(endPoint, pause: TimeSpan.FromMilliseconds(2));
        try
        {
            await load.ServeAsync(200);
            for (int i = 1; i <= HandOvers; i += 2)
            {
                // Two at once: one of them takes over from the other.
                servers.AddRange(await Task.WhenAll(StartAsync(i, endPoint.Port), StartAsync(i + 1, endPoint.Port)));
                await load.ServeAsync(50);
            }

            Task<int>[] exits = [.. servers.Select(static server => server.WaitForExitAsync())];
            await Patience.UntilAsync(() => exits.Count(static exit => exit.IsCompleted) == HandOvers, "all but the last have ended");
            Assert.All(exits.Where(static exit => exit.IsCompletedSuccessfully), static exit => Assert.Equal(0, exit.Result));

            await load.StopAsync();
            Assert.NotEqual(0, load.Reconnects);
        }
        finally
        {
            servers.ForEach(static server => server.Dispose());
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
