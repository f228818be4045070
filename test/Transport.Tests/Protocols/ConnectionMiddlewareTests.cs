using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Kestrel above connection middleware that replaces the transport's pipes by its own.</summary>
public class ConnectionMiddlewareTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Requests_and_responses_pass_through_it_until_the_connection_is_closed(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = ScramblingMiddleware.Use;
            setup.App = async context =>
            {
                using var reader = new StreamReader(context.Request.Body);
                string body = await reader.ReadToEndAsync();
                context.Response.ContentLength = body.Length;
                await context.Response.WriteAsync(body);
            };
        });
        using RawClient client = await server.ConnectAsync();

        foreach (int size in (int[])[0, 1, 70_000])
        {
            string body = new('b', size);
            string connection = size == 70_000 ? "close" : "keep-alive";
            await client.SendAsync(ScramblingMiddleware.Scrambled(
                $"POST / HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nContent-Length: {size}\r\n\r\n{body}"));
            var response = new StringBuilder();
            while (!response.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                response.Append(Encoding.Latin1.GetString(ScramblingMiddleware.Scrambled(await client.ReadExactlyAsync(1))));
            }

            Assert.StartsWith($"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n", response.ToString(), StringComparison.Ordinal);
            Assert.Equal(body, Encoding.Latin1.GetString(ScramblingMiddleware.Scrambled(await client.ReadExactlyAsync(size))));
        }

        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
    }
}
