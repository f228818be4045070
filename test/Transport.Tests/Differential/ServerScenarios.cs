using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>What the server decides: its limits, and its stop.</summary>
public class ServerScenarios
{
    [Fact]
    public Task More_connections_than_allowed() => CompareAsync(new Scenario
    {
        Server = static setup => setup.Kestrel = static options => options.Limits.MaxConcurrentConnections = 1,
        Client = static async stage =>
        {
            ScriptClient first = await stage.ConnectAsync();
            await first.SendAsync(Get);
            await first.ReceiveUntilAsync("\r\n0\r\n\r\n");
            ScriptClient second = await stage.ConnectAsync();
            await second.ReceiveToEndAsync();
            await first.SendAsync(GetAndClose);
            await first.ReceiveToEndAsync();
        },
        OnBoth = static seen =>
        {
            Assert.Equal("#1 (FIN)", Assert.Single(seen.Client, static line => line.StartsWith("#1", StringComparison.Ordinal)));
            seen.Answered("HTTP/1.1 200 OK", times: 2).Ended("FIN");
        },
    });

    [Fact]
    public Task More_upgraded_connections_than_allowed() => CompareAsync(new Scenario
    {
        Server = static setup => setup.Kestrel = static options => options.Limits.MaxConcurrentUpgradedConnections = 1,
        App = static async (context, stage) =>
        {
            var upgrade = context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpUpgradeFeature>()!;
            await stage.TryAsync("upgrade", async () =>
            {
                await using Stream stream = await upgrade.UpgradeAsync();
                byte[] buffer = new byte[10];
                int count = await stream.ReadAsync(buffer);
                await stream.WriteAsync(buffer.AsMemory(0, count));
                await stage.ReachedAsync("refused");
            });
            stage.Reach("refused");
        },
        Client = static async stage =>
        {
            const string Upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\r\n";
            ScriptClient first = await stage.ConnectAsync();
            await first.SendAsync(Upgrade);
            await first.ReceiveUntilAsync("\r\n\r\n");
            await first.SendAsync("upgraded");
            await first.ReceiveUntilAsync("upgraded");
            ScriptClient second = await stage.ConnectAsync();
            await second.SendAsync(Upgrade);
            await second.ReceiveUntilAsync("\r\n\r\n");
            await stage.ReachedAsync("refused");
            await first.ReceiveToEndAsync();
            second.Finish();
            await second.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("#0 HTTP/1.1 101").Answered("#0 upgraded").Noted("app: upgrade: InvalidOperationException", "app: upgrade: done"),
    });

    // Kestrel's clock ends it, from a thread of its own in every mode.
    [OneMode]
    [Slow]
    [Fact]
    public Task The_keep_alive_timeout() => CompareAsync(new Scenario
    {
        // It also limits how long the first request may take to come, on a busy machine.
        Server = static setup => setup.Kestrel = static options => options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(1),
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("HTTP/1.1 200 OK").Ended("FIN").Logged(7).Quiet(),
    });

    [OneMode]
    [Slow]
    [Fact]
    public Task The_request_headers_timeout() => CompareAsync(new Scenario
    {
        Server = static setup => setup.Kestrel = static options => options.Limits.RequestHeadersTimeout = TimeSpan.FromMilliseconds(100),
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\nHost:");
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("HTTP/1.1 408").Ended("FIN").Logged(7).Quiet(),
    });

    [Fact]
    public Task A_stop_with_idle_connections() => CompareAsync(new Scenario
    {
        Client = static async stage =>
        {
            ScriptClient untouched = await stage.ConnectAsync();
            ScriptClient idle = await stage.ConnectAsync();
            await idle.SendAsync(Get);
            await idle.ReceiveUntilAsync("\r\n0\r\n\r\n");
            await stage.AllAcceptedAsync();
            await stage.Server.StopAsync();
            await untouched.ReceiveToEndAsync();
            await idle.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("HTTP/1.1 200 OK").Ended("FIN").Logged(7).Quiet(),
    });

    [Fact]
    public Task A_stop_with_a_request_that_completes() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            stage.Reach("started");
            await stage.ReachedAsync("stopping");
            await context.Response.WriteAsync("answer");
        },
        Client = static async stage =>
        {
            ScriptClient idle = await stage.ConnectAsync();
            ScriptClient busy = await stage.ConnectAsync();
            await stage.AllAcceptedAsync();
            await busy.SendAsync(Get);
            await stage.ReachedAsync("started");
            Task stopping = stage.Server.StopAsync();

            // Its end shows that the stop has come to the connections.
            await idle.ReceiveToEndAsync();
            Assert.False(stopping.IsCompleted);
            stage.Reach("stopping");
            await busy.ReceiveToEndAsync();
            await stopping;
        },
        OnBoth = static seen => seen.Answered("#1 HTTP/1.1 200 OK").Answered("#1 answer").Ended("FIN").Logged(7).Quiet(),
    });

    [Fact]
    public Task A_stop_with_a_request_that_does_not_complete() => CompareAsync(new Scenario
    {
        Server = static setup => setup.ShutdownTimeout = TimeSpan.FromMilliseconds(200),
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            stage.Reach("started");
            await stage.ReachedAsync("aborted");
            await stage.TryAsync("write", () => context.Response.WriteAsync("too late"));
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await stage.ReachedAsync("started");
            await stage.Server.StopAsync();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Ended("RST").Noted("aborted: fired", "app: write: done").Logged(8),
    });
}
