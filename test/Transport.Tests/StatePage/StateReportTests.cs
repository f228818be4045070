using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scheduling;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.StatePage;

/// <summary>What the report says of a server that runs.</summary>
[OneMode]
public sealed class StateReportTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Fact]
    public async Task Connections_are_listed_with_what_they_wait_for()
    {
        using var entered = new SemaphoreSlim(0);
        TaskCompletionSource release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using StateServer server = await StateServer.StartAsync(setup => setup.App = async context =>
        {
            switch (context.Request.Path.Value)
            {
                case "/work":
                    IConnectionDeadlineFeature deadlines = context.Features.Get<IConnectionDeadlineFeature>()!;
                    deadlines.SetReadDeadline(TimeSpan.FromHours(1));
                    deadlines.SetWriteDeadline(TimeSpan.FromHours(3));
                    entered.Release();
                    await release.Task;
                    break;
                case "/much":
                    await context.Response.Body.WriteAsync(new byte[64 * 1024 * 1024]);
                    break;
            }
        });
        using RawClient silent = await server.Server.ConnectAsync();
        using RawClient working = await server.Server.ConnectAsync();
        using RawClient slow = await server.Server.ConnectAsync();
        using RawClient idle = await server.Server.ConnectAsync();
        await working.SendAsync(Request.Replace("/ ", "/work ", StringComparison.Ordinal));
        await slow.SendAsync(Request.Replace("/ ", "/much ", StringComparison.Ordinal));
        await idle.SendAsync(Request);
        Assert.Equal(200, (await idle.ReadResponseAsync()).Status);
        Assert.True(await entered.WaitAsync(Patience.Limit));

        JsonElement report = await server.LookUntilAsync(
            found => Describe(found, silent) == "open input" && Describe(found, working) == "open application"
                && Describe(found, slow) == "open output" && Describe(found, idle) == "open input",
            "every connection waits for what it should");

        Assert.Equal(5, report.GetProperty("connections").Number("open"));
        Assert.Equal(0, report.Of(silent)!.Value.Number("received"));
        JsonElement served = report.Of(idle)!.Value;
        Assert.Equal(server.Server.EndPoint.ToString(), served.Text("endPoint"));
        Assert.Equal(Request.Length, served.Number("received"));
        Assert.InRange(served.Number("sent"), 50, 1000);
        Assert.False(served.TryGetProperty("readDeadlineSeconds", out _));
        Assert.InRange(report.Of(slow)!.Value.Number("queued"), 1, int.MaxValue);
        Assert.InRange(report.Of(working)!.Value.GetProperty("readDeadlineSeconds").GetDouble(), 1800, 3600);
        Assert.InRange(report.Of(working)!.Value.GetProperty("writeDeadlineSeconds").GetDouble(), 7200, 10800);
        JsonElement own = Assert.Single(report.Connections(), static connection => connection.GetProperty("isThis").GetBoolean());
        Assert.Equal("application", own.Text("waitsFor"));
        Assert.Equal(5, report.GetProperty("counters").Number("acceptedConnections"));
        release.SetResult();
    }

    [Fact]
    public async Task Connections_are_filtered_sorted_and_no_more_than_was_asked_for()
    {
        await using StateServer server = await StateServer.StartAsync();
        using RawClient first = await server.Server.ConnectAsync();
        await first.SendAsync(Request);
        await first.ReadResponseAsync();
        using RawClient second = await server.Server.ConnectAsync();
        await second.SendAsync(Request + Request);
        await second.ReadResponseAsync();
        await second.ReadResponseAsync();

        JsonElement report = await server.LookUntilAsync(
            found => found.Of(first) is not null && found.Of(second) is { } answered && answered.Number("received") == 2 * Request.Length,
            "both are there");
        Assert.Equal((3, 0), Counts(report, "matching", "leftOut"));
        Assert.Equal(first.Socket.LocalEndPoint!.ToString(), report.Connections()[0].Text("peer"));

        string peer = Uri.EscapeDataString(second.Socket.LocalEndPoint!.ToString()!);
        report = await server.LookAsync($"?filter={peer}");
        Assert.Equal(second.Socket.LocalEndPoint.ToString(), Assert.Single(report.Connections()).Text("peer"));
        Assert.Equal((3, 1), Counts(report, "open", "matching"));

        report = await server.LookAsync("?connections=1&filter=input&sort=-received");
        Assert.Equal(second.Socket.LocalEndPoint.ToString(), Assert.Single(report.Connections()).Text("peer"));
        Assert.Equal((2, 1), Counts(report, "matching", "leftOut"));

        report = await server.LookAsync("?filter=nobody");
        Assert.Empty(report.Connections());
        Assert.Equal((3, 0), Counts(report, "open", "matching"));
    }

    [Fact]
    public async Task The_endpoints_of_both_transports_are_told_apart()
    {
        await using StateServer server = await StateServer.StartAsync(static setup => setup.Kestrel = static kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseSocketsTransport()));

        JsonElement report = await server.LookAsync();

        JsonElement transport = report.GetProperty("transport");
        Assert.Equal(("serving", "netpoll"), (transport.Text("status"), transport.Text("requestOn")));
        Assert.Equal(
            ["NetpollTransportFactory", "SocketTransportFactory"],
            transport.GetProperty("registered").EnumerateArray().Select(static name => name.GetString()));
        Assert.Equal(
            [(server.Server.Addresses.First(), "netpoll"), (server.Server.Addresses.Last(), "another transport")],
            report.GetProperty("addresses").EnumerateArray().Select(static entry => (entry.Text("address")!, entry.Text("servedBy")!)));
        JsonElement endPoint = Assert.Single(report.GetProperty("endpoints").EnumerateArray());
        Assert.Equal(server.Server.EndPoint.ToString(), endPoint.Text("endPoint"));
        Assert.InRange(endPoint.Number("acceptQueueLimit"), 1, int.MaxValue);
        Assert.Equal(server.Server.Factory!.WorkerCount, transport.Number("workerCount"));
        JsonElement workers = report.GetProperty("workers");
        Assert.InRange(workers.Number("running"), 0, server.Server.Factory.WorkerCount);
    }

    [Fact]
    public async Task Where_netpoll_cannot_run_the_page_says_why_on_another_transport()
    {
        await using StateServer server = await StateServer.StartAsync(static setup =>
            setup.Platform = new PlatformSupport(isLinux: false, Architecture.X64, SystemCalls.Instance));

        JsonElement report = await server.LookAsync();

        JsonElement transport = report.GetProperty("transport");
        Assert.Equal(("unsupported", "another transport"), (transport.Text("status"), transport.Text("requestOn")));
        Assert.Contains("it needs Linux.", transport.Text("remark"), StringComparison.Ordinal);
        Assert.Equal("another transport", Assert.Single(report.GetProperty("addresses").EnumerateArray()).Text("servedBy"));
        Assert.Empty(report.Connections());
    }

    [Fact]
    public async Task Without_the_transport_the_page_says_that_it_is_missing()
    {
        await using StateServer server = await StateServer.StartAsync(kind: TransportKind.Sockets);

        JsonElement transport = (await server.LookAsync()).GetProperty("transport");

        Assert.Equal("missing", transport.Text("status"));
        Assert.Contains("UseNetpollTransport", transport.Text("remark"), StringComparison.Ordinal);
        using HttpResponseMessage page = await server.SendAsync();
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
    }

    /// <summary>Also where the log does not want them. What a client has made up comes as the text it is.</summary>
    [Fact]
    public async Task Blocked_turns_are_kept_for_who_looks_back()
    {
        using var obstacle = new Obstacle("event");
        await using StateServer server = await StateServer.StartAsync(setup =>
        {
            setup.LogFilter = static (_, level) => level > LogLevel.Warning;
            setup.Netpoll = static options => (options.ApplicationScheduling, options.NameBlockedRequests, options.WorkerGroupCount) =
                (ApplicationScheduling.Workers, true, 1);
            setup.App = _ =>
            {
                obstacle.Block();
                return Task.CompletedTask;
            };
        });

        // Of two requests that are the first, routing lets one wait for the other, and go on on the thread pool.
        await server.LookAsync();
        using RawClient client = await server.Server.ConnectAsync();
        try
        {
            await client.SendAsync("GET /%3Cimg%20src=x%3E HTTP/1.1\r\nHost: x\r\n\r\n");

            JsonElement blocked = default;
            JsonElement report = await server.LookUntilAsync(
                found =>
                {
                    blocked = found.GetProperty("blockedTurns").GetProperty("listed").EnumerateArray()
                        .FirstOrDefault(static entry => entry.Text("cause") == "managed_wait");
                    return blocked.ValueKind == JsonValueKind.Object;
                },
                "the blocked turn is told of");

            Assert.Equal(("GET", "/<img src=x>"), (blocked.Text("method"), blocked.Text("path")));
            Assert.Equal(client.Socket.LocalEndPoint!.ToString(), blocked.Text("peer"));
            Assert.InRange(blocked.GetProperty("blockedSeconds").GetDouble(), 0.1, Patience.Limit.TotalSeconds);
            Assert.Equal(0.1, report.GetProperty("blockedTurns").GetProperty("thresholdSeconds").GetDouble());
            Assert.InRange(report.GetProperty("blockedTurns").Number("seen"), 1, int.MaxValue);
            Assert.InRange(report.GetProperty("workers").Number("blocked"), 1, int.MaxValue);
        }
        finally
        {
            obstacle.Release();
        }

        Assert.Equal(200, (await client.ReadResponseAsync()).Status);
    }

    private static string? Describe(JsonElement report, RawClient client) =>
        report.Of(client) is { } connection ? $"{connection.Text("state")} {connection.Text("waitsFor")}" : null;

    private static (int First, int Second) Counts(JsonElement report, string first, string second) =>
        (report.GetProperty("connections").Number(first), report.GetProperty("connections").Number(second));
}
