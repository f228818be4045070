using System.Net;
using System.Security.Cryptography;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class Http2Tests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Many_streams_share_a_connection_with_prior_knowledge(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options => options.Protocols = HttpProtocols.Http2;
            setup.App = async context =>
            {
                Assert.Equal("HTTP/2", context.Request.Protocol);

                // HttpClient reads the response after it has sent the request.
                using var body = new MemoryStream();
                await context.Request.Body.CopyToAsync(body);
                await context.Response.Body.WriteAsync(body.ToArray());
            };
        });
        using var client = new HttpClient
        {
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var uri = new Uri($"http://{server.EndPoint}/");

        await Task.WhenAll(Enumerable.Range(0, 50).Select(async i =>
        {
            byte[] body = RandomNumberGenerator.GetBytes(i * 7_000);
            using HttpResponseMessage response = await client.PostAsync(uri, new ByteArrayContent(body));
            byte[] echoed = await response.Content.ReadAsByteArrayAsync();
            Assert.True(body.AsSpan().SequenceEqual(echoed));
        })).InTime();

        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_stream_can_be_read_while_it_is_written(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options => options.Protocols = HttpProtocols.Http2;
            setup.App = async context =>
            {
                for (int i = 0; i < 5; i++)
                {
                    await context.Response.WriteAsync($"line {i}\n");
                    await context.Response.Body.FlushAsync();
                    await Task.Delay(1);
                }
            };
        });
        using var client = new HttpClient
        {
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

        using Stream stream = await client.GetStreamAsync(new Uri($"http://{server.EndPoint}/")).InTime();
        using var reader = new StreamReader(stream);
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal($"line {i}", await reader.ReadLineAsync().InTime());
        }
    }
}
