using System.Globalization;
using System.Security.Cryptography;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class KeepAliveTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task HttpClient_sends_all_its_requests_over_one_connection(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            context.Response.Headers["X-Connection"] = context.Connection.Id;
            if (body.Length % 2 == 0)
            {
                context.Response.ContentLength = body.Length;
            }

            await context.Response.Body.WriteAsync(body.ToArray());
        });
        HashSet<string> connections = [];
        using (HttpClient client = HttpClients.Create(server, "1.1"))
        {
            for (int i = 0; i < 200; i++)
            {
                byte[] body = RandomNumberGenerator.GetBytes(i * 97);
                using HttpContent content = i % 3 == 0 ? new StreamContent(new MemoryStream(body)) : new ByteArrayContent(body);
                using HttpResponseMessage response = await client.PostAsync((Uri?)null, content).InTime();
                Assert.Equal(body, await response.Content.ReadAsByteArrayAsync().InTime());
                connections.UnionWith(response.Headers.GetValues("X-Connection"));
            }
        }

        Assert.Single(connections);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Methods_and_bodies_may_alternate_in_one_pipeline(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            string text = $"{context.Request.Method}{context.Request.Path}:{await reader.ReadToEndAsync()}";
            context.Response.ContentLength = text.Length;
            await context.Response.WriteAsync(text);
        });
        using RawClient client = await server.ConnectAsync();

        // GET, a body with a length, a chunked body; all in flight before the first answer is read.
        await client.SendAsync(string.Concat(Enumerable.Range(0, 60).Select(static i => (i % 3) switch
        {
            0 => $"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n",
            1 => $"PUT /{i} HTTP/1.1\r\nHost: x\r\nContent-Length: {i}\r\n\r\n{Body(i)}",
            _ => $"POST /{i} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n#\r\n{i.ToString("x", CultureInfo.InvariantCulture)}\r\n{Body(i)}\r\n0\r\n\r\n",
        })));

        for (int i = 0; i < 60; i++)
        {
            string expected = (i % 3) switch { 0 => $"GET/{i}:", 1 => $"PUT/{i}:{Body(i)}", _ => $"POST/{i}:#{Body(i)}" };
            Assert.Equal(expected, (await client.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_body_that_the_handler_leaves_alone_does_not_disturb_the_next_request(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, static context => context.Response.WriteAsync(context.Request.Path.Value!));
        using RawClient client = await server.ConnectAsync();

        for (int i = 0; i < 20; i++)
        {
            int size = i * 3001;
            await client.SendAsync($"POST /{i} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n{new string('x', size)}");
            Assert.Equal($"/{i}", (await client.ReadResponseAsync()).Text);
        }
    }

    private static string Body(int i) => new((char)('a' + (i % 26)), i);
}
