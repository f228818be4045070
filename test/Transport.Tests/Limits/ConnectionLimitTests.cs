using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Limits;

/// <summary>The limits at work, on HTTP and on connections without it.</summary>
public class ConnectionLimitTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(200);

    [OneMode]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_says_nothing_is_gone_and_one_that_has_said_something_stays(bool http)
    {
        await using TestServer server = await StartAsync(http, options => options.FirstByteTimeout = Limit);
        using RawClient silent = await server.ConnectAsync();
        using RawClient other = await server.ConnectAsync();
        await other.SendAsync(http ? "GET / HTTP/1.1\r\n" : "a");

        Assert.Equal(([], PeerEnd.Fin), await silent.ReadToEndAsync());

        await AssertReachedAsync(server, "FirstByteTimeout", static statistics => statistics.FirstByteTimeouts, 1);
        await other.SendAsync(http ? "Host: x\r\n\r\n" : "b");
        Assert.Equal(http ? "HTTP/1.1 200 OK" : "heard", await other.ReadLineAsync());
        AssertQuiet(server, 1);
    }

    [Theory]
    [InlineData(false, "")]
    [InlineData(true, "")]
    [InlineData(true, "GET / HT")]
    [InlineData(true, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")]
    public async Task A_client_that_stops_sending_while_a_read_waits_is_gone(bool http, string sent)
    {
        await using TestServer server = await StartAsync(http, options => options.ReadIdleTimeout = Limit);
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(sent);

        await client.ReadToEndAsync();

        await AssertReachedAsync(server, "ReadIdleTimeout", static statistics => statistics.ReadIdleTimeouts, 1);
        await server.Pools.AllReturnedAsync();
        if (sent.Length < 10)
        {
            AssertQuiet(server, 1);
        }
    }

    [OneMode]
    [Fact]
    public async Task A_handler_may_take_longer_than_a_read_may_and_a_client_may_take_its_time_bit_by_bit()
    {
        await using TestServer server = await StartAsync(http: true, options => options.ReadIdleTimeout = Limit, app: async context =>
        {
            await Task.Delay(Limit * 2);
            await context.Response.WriteAsync("at last");
        });
        using RawClient client = await server.ConnectAsync();
        foreach (char[] part in "GET / HTTP/1.1\r\nHost: x\r\n\r\n".Chunk(2))
        {
            await client.SendAsync(new string(part));
            await Task.Delay(Limit / 10);
        }

        Assert.Equal("at last", (await client.ReadResponseAsync()).Text);
        await client.ReadToEndAsync();
        await AssertReachedAsync(server, "ReadIdleTimeout", static statistics => statistics.ReadIdleTimeouts, 1);
    }

    [Theory]
    [InlineData(false, 50_000_000)]
    [InlineData(true, 50_000_000)]
    [InlineData(false, 300_000)]
    [InlineData(true, 300_000)]
    public async Task A_client_that_takes_nothing_is_gone_whether_it_is_queued_or_in_the_kernel(bool http, int bytes)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task Respond(PipeWriter output)
        {
            try
            {
                for (int written = 0; written < bytes; written += 10_000)
                {
                    if ((await output.WriteAsync(new byte[10_000])).IsCompleted)
                    {
                        break;
                    }
                }
            }
            catch (OperationCanceledException)
            {
            }

            ended.TrySetResult();
        }

        await using TestServer server = await StartAsync(
            http,
            options => (options.WriteStallTimeout, options.SendBufferSize) = (Limit, 1_000_000),
            app: context => Respond(context.Response.BodyWriter),
            raw: async connection =>
            {
                await Respond(connection.Transport.Output);
                await Task.Delay(Timeout.Infinite, connection.ConnectionClosed).ContinueWith(static _ => { }, TaskScheduler.Default);
            });
        using RawClient client = await ConnectSmallAsync(server);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await ended.Task.InTime();

        await AssertReachedAsync(server, "WriteStallTimeout", static statistics => statistics.WriteStallTimeouts, 1);
        Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
        AssertQuiet(server, 1);
    }

    [OneMode]
    [Fact]
    public async Task A_client_that_takes_a_little_now_and_then_stays()
    {
        const int Length = 400_000;
        await using TestServer server = await StartAsync(
            http: true,
            options => (options.WriteStallTimeout, options.SendBufferSize) = (TimeSpan.FromSeconds(3), 100_000),
            app: static async context => await context.Response.BodyWriter.WriteAsync(new byte[Length]));
        using RawClient client = await ConnectSmallAsync(server);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        int received = 0;
        byte[] buffer = new byte[Length / 20];
        while (await client.ReceiveAsync(buffer) is var count and not 0)
        {
            received += count;
            await Task.Delay(20);
        }

        Assert.InRange(received, Length, Length * 2);
        Assert.Equal(0, server.Factory!.GetStatistics().WriteStallTimeouts);
    }

    [OneMode]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_old_connection_is_closed_after_what_it_is_doing(bool idle)
    {
        await using TestServer server = await StartAsync(http: true, options => options.MaxConnectionAge = Limit, app: async context =>
        {
            if (!idle)
            {
                await Task.Delay(Limit * 3);
            }

            await context.Response.WriteAsync("whole");
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

        RawResponse response = await client.ReadResponseAsync();
        Assert.Equal("whole", response.Text);
        Assert.True(idle || response.Headers["Connection"] == "close");
        Assert.Equal(([], PeerEnd.Fin), await client.ReadToEndAsync());
        await AssertReachedAsync(server, "MaxConnectionAge", static statistics => statistics.MaxConnectionAgesReached, 1);
        AssertQuiet(server, 1);
    }

    /// <summary>A request that comes too late is refused unseen; a client that has met several such connections in a row gives up.</summary>
    [OneMode]
    [Fact]
    public async Task No_request_that_was_begun_fails_when_connections_become_old_also_with_HTTP2()
    {
        var connections = new System.Collections.Concurrent.ConcurrentDictionary<string, bool>();
        int begun = 0;
        int answered = 0;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Endpoint = static options => options.Protocols = HttpProtocols.Http2;
            setup.Netpoll = static options => options.MaxConnectionAge = Limit;
            setup.App = async context =>
            {
                connections[context.Connection.Id] = true;
                Interlocked.Increment(ref begun);
                await Task.Delay(5);
                await context.Response.WriteAsync("whole");
            };
        });
        using HttpClient http = HttpClients.Create(server, "2.0");

        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            while (connections.Count < 4)
            {
                try
                {
                    Assert.Equal("whole", await http.GetStringAsync(new Uri("/", UriKind.Relative)).InTime());
                    Interlocked.Increment(ref answered);
                }
                catch (HttpRequestException e) when (e.InnerException is HttpProtocolException { ErrorCode: 0 })
                {
                    // NO_ERROR.
                }
            }
        }));
        Assert.Equal(begun, answered);
        AssertQuiet(server);
    }

    [OneMode]
    [Fact]
    public async Task An_old_connection_without_HTTP_hears_of_it()
    {
        await using TestServer server = await StartAsync(http: false, options => options.MaxConnectionAge = Limit, raw: async connection =>
        {
            CancellationToken requested = connection.Features.Get<IConnectionLifetimeNotificationFeature>()!.ConnectionClosedRequested;
            await Task.Delay(Timeout.Infinite, requested).ContinueWith(static _ => { }, TaskScheduler.Default);
            await connection.Transport.Output.WriteAsync("goodbye\n"u8.ToArray(), CancellationToken.None);
        });
        using RawClient client = await server.ConnectAsync();

        Assert.Equal("goodbye", await client.ReadLineAsync());
        Assert.Equal(([], PeerEnd.Fin), await client.ReadToEndAsync());
        await AssertReachedAsync(server, "MaxConnectionAge", static statistics => statistics.MaxConnectionAgesReached, 1);
    }

    [OneMode]
    [Fact]
    public async Task Looking_ends_with_the_last_connection_and_begins_with_the_next()
    {
        await using TestServer server = await StartAsync(http: true, options => options.FirstByteTimeout = Limit);
        for (int i = 1; i <= 3; i++)
        {
            using RawClient client = await server.ConnectAsync();
            Assert.Equal(([], PeerEnd.Fin), await client.ReadToEndAsync());
            await AssertReachedAsync(server, "FirstByteTimeout", static statistics => statistics.FirstByteTimeouts, i);
            await Patience.UntilAsync(() => server.Factory!.Groups[0].Poller.Deadlines.Count == 0, "nobody looks any more");
        }
    }

    [OneMode]
    [Fact]
    public async Task Every_connection_is_visited_that_is_there_all_the_time()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        ConnectionTracker tracker = harness.Factory.Context!.Services.Connections;
        var connections = new List<(NetpollConnection Server, RawClient Client)>();
        for (int i = 0; i < 7; i++)
        {
            connections.Add(await harness.ConnectAsync());
        }

        var share = new TrackedConnection?[2];
        var visited = new List<TrackedConnection>();
        int count = tracker.Visit(share, fromStart: true, out bool hasMore);
        visited.AddRange(share[..count]!);

        // The newest come first: these are the next one, which the cursor is at, and one that has been visited.
        foreach (int gone in new[] { 4, 5 })
        {
            await connections[gone].Server.DisposeAsync().InTime();
        }

        while (hasMore)
        {
            count = tracker.Visit(share, fromStart: false, out hasMore);
            visited.AddRange(share[..count]!);
        }

        Assert.Equal([.. new[] { 6, 5, 3, 2, 1, 0 }.Select(i => connections[i].Server)], visited);
        foreach ((NetpollConnection server, RawClient client) in connections)
        {
            await server.DisposeAsync().InTime();
            client.Dispose();
        }

        Assert.Equal(0, tracker.Visit(share, fromStart: true, out hasMore));
        Assert.False(hasMore);
    }

    private static Task<TestServer> StartAsync(
        bool http, Action<NetpollTransportOptions> netpoll, RequestDelegate? app = null, ConnectionDelegate? raw = null) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = netpoll;
            if (!http)
            {
                setup.Endpoint = options => options.Use(_ => raw ?? ListenAsync);
            }

            // Kestrel's own limits are not to be quicker on a slow machine.
            setup.Kestrel = static options => (options.Limits.MinRequestBodyDataRate, options.Limits.MinResponseDataRate) = (null, null);
            setup.App = app ?? (static async context =>
            {
                await context.Request.Body.CopyToAsync(Stream.Null);
                await context.Response.WriteAsync("Hello, World!");
            });
        });

    private static async Task ListenAsync(ConnectionContext connection)
    {
        try
        {
            string heard = "";
            while (await connection.Transport.Input.ReadAsync() is { IsCompleted: false, IsCanceled: false } result)
            {
                heard += Encoding.ASCII.GetString(result.Buffer);
                connection.Transport.Input.AdvanceTo(result.Buffer.End);
                if (heard == "ab")
                {
                    await connection.Transport.Output.WriteAsync("heard\n"u8.ToArray());
                }
            }
        }
        catch (ConnectionAbortedException)
        {
        }
    }

    private static async Task<RawClient> ConnectSmallAsync(TestServer server)
    {
        // Before connecting: the window follows from it.
        RawClient client = RawClient.Create(server.EndPoint, receiveBufferSize: 10_000);
        await client.Socket.ConnectAsync(server.EndPoint).InTime();
        return client;
    }

    private static async Task AssertReachedAsync(
        TestServer server, string limit, Func<NetpollTransportStatistics, long> count, long expected)
    {
        await Patience.UntilAsync(() => count(server.Factory!.GetStatistics()) == expected, $"{limit} has been counted");
        await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 130).Count() == expected, $"{limit} has been logged");
        Assert.All(server.Logs.Of(TransportKind.Netpoll, 130), entry =>
        {
            Assert.Contains($"has reached {limit} ({Limit})", entry.Message, StringComparison.Ordinal);
            Assert.Equal(LogLevel.Debug, entry.Level);
        });
    }

    private static void AssertQuiet(TestServer server, int? limits = null)
    {
        Assert.Empty(server.Logs.Above(LogLevel.Information));
        Assert.True(limits is null || limits == server.Logs.Of(TransportKind.Netpoll, 130).Count());
    }
}
