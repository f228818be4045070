using System.Collections.Concurrent;
using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scheduling;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

/// <summary>A handler that blocks its worker is named, in the log and to whoever listens.</summary>
[OneMode]
public sealed class BlockedTurnReportTests
{
    private const int BlockedTurn = 120;
    private const int DiagnosticsFailed = 121;

    public static TheoryData<string, BlockedTurnCause, string> Ways => new()
    {
        { "event", BlockedTurnCause.ManagedWait, "by a wait that .NET knows of" },
        { "kernel", BlockedTurnCause.KernelCall, "by the kernel, in " },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task The_connection_and_what_blocks_are_named(string way, BlockedTurnCause cause, string words)
    {
        ConcurrentQueue<BlockedTurnEventArgs> raised = new();
        using var obstacle = new Obstacle(way);
        string? id = null;
        await using TestServer server = await StartAsync(
            context =>
            {
                id = context.Connection.Id;
                obstacle.Block();
                return Task.CompletedTask;
            });
        INetpollDiagnostics diagnostics = server.Services.GetRequiredService<INetpollDiagnostics>();
        diagnostics.BlockedTurn += (sender, blocked) =>
        {
            Assert.Same(diagnostics, sender);
            raised.Enqueue(blocked);
        };
        using var release = new Release(obstacle);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("GET /secret HTTP/1.1\r\nHost: x\r\n\r\n");

        // On a busy machine the handler may compute for long before it blocks: that is told of first.
        BlockedTurnEventArgs? blocked = null;
        LogEntry? entry = null;
        await Patience.UntilAsync(
            () => (blocked = raised.FirstOrDefault(found => found.Cause == cause)) is not null
                && (entry = Logged(server).FirstOrDefault(found => found.Message.Contains(words, StringComparison.Ordinal))) is not null,
            "it is told of",
            () => $"Threads that block: {string.Join(", ", obstacle.Threads.Select(static thread => thread.Name))}. Told of: "
                + string.Join(", ", raised.Select(static found => $"{found.Cause} {found.KernelCall} for {found.BlockedFor}")));
        Assert.True(Directory.Exists($"/proc/self/task/{blocked!.ThreadId}"));
        obstacle.Release();
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);

        Assert.Equal(id, blocked!.ConnectionId);
        Assert.Equal(cause, blocked.Cause);
        Assert.Equal(cause == BlockedTurnCause.KernelCall && File.Exists("/proc/self/syscall") ? "read" : null, blocked.KernelCall);
        Assert.Equal(server.EndPoint, blocked.LocalEndPoint);
        Assert.Equal(IPAddress.Loopback, Assert.IsType<IPEndPoint>(blocked.RemoteEndPoint).Address);
        Assert.True(blocked.BlockedFor >= TimeSpan.FromMilliseconds(100));
        Assert.Equal((null, null, null), (blocked.Method, blocked.Path, blocked.Route));
        Assert.Equal(LogLevel.Warning, entry!.Level);
        Assert.Contains($"Connection id \"{id}\"", entry.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", entry.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ApplicationScheduling.Workers, false)]
    [InlineData(ApplicationScheduling.WorkersOnly, false)]
    [InlineData(ApplicationScheduling.WorkersOnly, true)]
    public async Task The_request_is_named_if_that_is_wanted(ApplicationScheduling scheduling, bool later)
    {
        using var obstacle = new Obstacle("event");
        string? id = null;
        await using TestServer server = await StartAsync(
            async context =>
            {
                id = context.Connection.Id;
                context.SetEndpoint(new RouteEndpoint(
                    static _ => Task.CompletedTask,
                    RoutePatternFactory.Parse("/orders/{id}"),
                    order: 0,
                    metadata: null,
                    displayName: null));
                if (later)
                {
                    await Task.Delay(1);
                }

                obstacle.Block();
            },
            options => (options.ApplicationScheduling, options.NameBlockedRequests) = (scheduling, true));
        TaskCompletionSource<BlockedTurnEventArgs> raised = new();
        server.Services.GetRequiredService<INetpollDiagnostics>().BlockedTurn += (_, blocked) =>
        {
            // On a busy machine it may take long before the request is routed: that is told of first.
            if (blocked.Route is not null)
            {
                raised.TrySetResult(blocked);
            }
        };
        using var release = new Release(obstacle);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("PUT /orders/7%0A HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        BlockedTurnEventArgs blocked = await raised.Task.InTime();
        obstacle.Release();
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);

        Assert.Equal(("PUT", "/orders/7\n", "/orders/{id}"), (blocked.Method, blocked.Path, blocked.Route));
        Assert.Equal((id, server.EndPoint), (blocked.ConnectionId, blocked.LocalEndPoint));

        // What looks like the end of a line is none in the log.
        const string Request = "Request: PUT /orders/7%0A, route /orders/{id}.";
        await Patience.UntilAsync(
            () => Logged(server).Any(static entry => entry.Message.Contains(Request, StringComparison.Ordinal)), "it is logged, too");
    }

    [Fact]
    public async Task A_listener_that_throws_is_logged_and_keeps_nobody_from_hearing_of_it()
    {
        using var obstacle = new Obstacle("event");
        await using TestServer server = await StartAsync(_ =>
        {
            obstacle.Block();
            return Task.CompletedTask;
        });
        INetpollDiagnostics diagnostics = server.Services.GetRequiredService<INetpollDiagnostics>();
        TaskCompletionSource raised = new();
        diagnostics.BlockedTurn += static (_, _) => throw new InvalidOperationException("a listener");
        diagnostics.BlockedTurn += (_, _) => raised.TrySetResult();
        using var release = new Release(obstacle);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await raised.Task.InTime();
        obstacle.Release();
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);

        Assert.Equal("a listener", server.Logs.Of(TransportKind.Netpoll, DiagnosticsFailed).First().Exception?.Message);
    }

    [Fact]
    public async Task Turned_off_nothing_is_told()
    {
        using var obstacle = new Obstacle("event");
        await using TestServer server = await StartAsync(
            _ =>
            {
                obstacle.Block();
                return Task.CompletedTask;
            },
            static options => options.BlockedTurnThreshold = TimeSpan.Zero);
        int raised = 0;
        server.Services.GetRequiredService<INetpollDiagnostics>().BlockedTurn += (_, _) => raised++;
        using var release = new Release(obstacle);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await Patience.UntilAsync(() => obstacle.Threads.Count == 1, "the handler blocks");
        await Task.Delay(300);
        obstacle.Release();
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);

        Assert.Equal(0, raised);
        Assert.Empty(Logged(server));
    }

    private static IEnumerable<LogEntry> Logged(TestServer server) => server.Logs.Of(TransportKind.Netpoll, BlockedTurn);

    // The first request of a server may go on on the thread pool, while the framework sets itself up.
    private static async Task<TestServer> StartAsync(RequestDelegate app, Action<NetpollTransportOptions>? configure = null)
    {
        TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.App = context => context.Request.Path == "/first" ? Task.CompletedTask : app(context);
            setup.Netpoll = options =>
            {
                options.ApplicationScheduling = ApplicationScheduling.Workers;
                configure?.Invoke(options);
            };
        });
        using RawClient first = await server.ConnectAsync();
        await first.SendAsync("GET /first HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(200, (await first.ReadResponseAsync()).Status);
        return server;
    }

    // Before the server stops, which waits for its handlers: a test that has failed is to say why.
    private sealed class Release(Obstacle obstacle) : IDisposable
    {
        public void Dispose() => obstacle.Release();
    }
}
