using System.Net;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Http;

public class RequestTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Requests_follow_each_other_on_one_connection(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, EchoPathAsync);
        using RawClient client = await server.ConnectAsync();

        for (int i = 0; i < 100; i++)
        {
            await client.SendAsync($"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal($"/{i}", (await client.ReadResponseAsync()).Text);
        }

        client.ShutdownSend();
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_hundred_pipelined_requests_are_answered_in_order(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, EchoPathAsync);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(string.Concat(Enumerable.Range(0, 100).Select(i => $"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n")));

        for (int i = 0; i < 100; i++)
        {
            Assert.Equal($"/{i}", (await client.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Pipelined_requests_whose_handlers_leave_the_worker_are_answered_in_order(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            await Task.Delay(1);
            await EchoPathAsync(context);
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(string.Concat(Enumerable.Range(0, 30).Select(i => $"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n")));

        for (int i = 0; i < 30; i++)
        {
            Assert.Equal($"/{i}", (await client.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Pipelined_requests_whose_bytes_are_cut_anywhere_are_answered_in_order(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, EchoPathAsync);
        using RawClient client = await server.ConnectAsync();
        byte[] requests = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Range(0, 200).Select(i => $"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n")));

        Task sending = Task.Run(async () =>
        {
            for (int offset = 0, piece = 1; offset < requests.Length; offset += piece, piece = (piece * 7 % 101) + 1)
            {
                await client.SendAsync(requests.AsMemory(offset, Math.Min(piece, requests.Length - offset)));
            }
        });
        for (int i = 0; i < 200; i++)
        {
            Assert.Equal($"/{i}", (await client.ReadResponseAsync()).Text);
        }

        await sending.InTime();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_request_may_come_byte_by_byte(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            await context.Response.WriteAsync($"{context.Request.Path}:{await reader.ReadToEndAsync()}");
        });
        using RawClient client = await server.ConnectAsync();

        foreach (char c in "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        {
            await client.SendAsync(c.ToString());
        }

        Assert.Equal("/slow:hello", (await client.ReadResponseAsync()).Text);
    }

    [Theory]
    [InlineData(TransportKind.Sockets, "127.0.0.1")]
    [InlineData(TransportKind.Netpoll, "127.0.0.1")]
    [InlineData(TransportKind.Sockets, "::1")]
    [InlineData(TransportKind.Netpoll, "::1")]
    public async Task Both_address_families_show_their_addresses(TransportKind kind, string address)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Address = IPAddress.Parse(address);
            setup.App = context => context.Response.WriteAsync(
                $"{context.Connection.LocalIpAddress}|{context.Connection.LocalPort}|{context.Connection.RemoteIpAddress}|{context.Connection.RemotePort}");
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(Request);

        int port = ((IPEndPoint)client.Socket.LocalEndPoint!).Port;
        Assert.Equal($"{address}|{server.EndPoint.Port}|{address}|{port}", (await client.ReadResponseAsync()).Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Trace_identifiers_have_Kestrels_form(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, context => context.Response.WriteAsync(context.TraceIdentifier));
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(Request + Request);

        Assert.Matches("^[0-9A-V]{13}:00000001$", (await client.ReadResponseAsync()).Text);
        Assert.Matches("^[0-9A-V]{13}:00000002$", (await client.ReadResponseAsync()).Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Connection_close_ends_with_FIN_after_the_response(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        RawResponse response = await client.ReadResponseAsync();
        Assert.Equal("close", response.Headers["Connection"]);
        (byte[] rest, PeerEnd end) = await client.ReadToEndAsync();
        Assert.Empty(rest);
        Assert.Equal(PeerEnd.Fin, end);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Expect_100_continue_is_answered_before_the_body(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, EchoBodyAsync);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        Assert.Equal("HTTP/1.1 100 Continue", await client.ReadLineAsync());
        Assert.Equal("", await client.ReadLineAsync());
        await client.SendAsync("hello");

        Assert.Equal("hello", (await client.ReadResponseAsync()).Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Chunked_bodies_go_both_ways(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, EchoBodyAsync);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        await client.SendAsync("5\r\nhello\r\n");
        await client.SendAsync("1;extension=1\r\n,\r\n6\r\n wor");
        await client.SendAsync("ld\r\n0\r\n\r\n");

        RawResponse response = await client.ReadResponseAsync();
        Assert.Equal("chunked", response.Headers["Transfer-Encoding"]);
        Assert.Equal("hello, world", response.Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Headers_larger_than_many_blocks_are_held(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, context =>
            context.Response.WriteAsync(context.Request.Headers["X-Long"].ToString()));
        using RawClient client = await server.ConnectAsync();
        string value = new('v', 30_000);

        await client.SendAsync($"GET / HTTP/1.1\r\nHost: x\r\nX-Long: {value}\r\n\r\n");

        Assert.Equal(value, (await client.ReadResponseAsync()).Text);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_bad_request_is_refused_and_the_connection_closed(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind);
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("nonsense\r\n\r\n");

        Assert.Equal(400, (await client.ReadResponseAsync()).Status);
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
    }

    [Fact]
    public async Task An_error_response_survives_a_body_that_nobody_read()
    {
        // The kernel answers a close with unread bytes with RST, which can overtake the response. Sockets has this problem.
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, context =>
        {
            context.Response.StatusCode = StatusCodes.Status413PayloadTooLarge;
            context.Response.Headers.Connection = "close";
            return Task.CompletedTask;
        });

        for (int i = 0; i < 20; i++)
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + new string('x', 50_000));
            Assert.Equal(413, (await client.ReadResponseAsync()).Status);
        }
    }

    private static Task EchoPathAsync(HttpContext context) => context.Response.WriteAsync(context.Request.Path.Value!);

    private static async Task EchoBodyAsync(HttpContext context)
    {
        byte[] buffer = new byte[4096];
        int count;
        while ((count = await context.Request.Body.ReadAsync(buffer)) != 0)
        {
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, count));
            await context.Response.Body.FlushAsync();
        }
    }
}
