using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using static KestrelNetpoll.Transport.Tests.WorkersOnly.WorkersOnlyServer;

namespace KestrelNetpoll.Transport.Tests.WorkersOnly;

/// <summary>Streams, bodies and web sockets stay on the workers, too.</summary>
[OneMode]
public sealed class WorkersOnlyProtocolTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_handlers_of_HTTP2_streams_run_on_workers(bool tls)
    {
        using X509Certificate2? certificate = tls ? TestCertificate.Create() : null;
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                string before = Where();
                await Task.Delay(1);
                using var body = new MemoryStream();
                await context.Request.Body.CopyToAsync(body);
                await context.Response.WriteAsync($"{context.Request.Protocol}: {before}, {Where()}, {body.Length}");
            },
            configure: setup => setup.Endpoint = options =>
            {
                options.Protocols = HttpProtocols.Http2;
                if (certificate is not null)
                {
                    options.UseHttps(certificate);
                }
            });
        using HttpClient client = HttpClients.Create(server, "2.0", certificate);
        async Task<string> PostAsync()
        {
            using var content = new ByteArrayContent(new byte[300_000]);
            using HttpResponseMessage response = await client.PostAsync((Uri?)null, content);
            return await response.Content.ReadAsStringAsync();
        }

        foreach (string answer in await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => PostAsync())).InTime())
        {
            Assert.Equal($"HTTP/2: {OnWorker}, {OnWorker}, 300000", answer);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_web_socket_is_served_on_workers_for_as_long_as_it_lives(bool http2)
    {
        List<string> places = [];
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
                byte[] buffer = new byte[10_000];
                while (true)
                {
                    WebSocketReceiveResult received = await socket.ReceiveAsync(buffer, default);
                    places.Add(Where());
                    if (received.MessageType == WebSocketMessageType.Close)
                    {
                        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
                        return;
                    }

                    await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, default);
                    places.Add(Where());
                }
            },
            configure: setup =>
            {
                setup.Endpoint = options => options.Protocols = http2 ? HttpProtocols.Http2 : HttpProtocols.Http1;
                setup.Pipeline = static app => app.UseWebSockets();
            });
        using (ClientWebSocket client = await WebSocketServer.ConnectAsync(server, http2: http2))
        {
            byte[] buffer = new byte[10_000];
            for (int size = 0; size < 9_000; size = (size * 2) + 1)
            {
                await client.SendAsync(new byte[size], WebSocketMessageType.Binary, endOfMessage: true, default).InTime();
                Assert.Equal(size, (await client.ReceiveAsync(buffer, default).InTime()).Count);
            }

            await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default).InTime();
        }

        await server.StopAsync();
        Assert.Equal([OnWorker], places.Distinct());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_body_is_read_on_workers_to_its_end(bool tls, bool chunked)
    {
        using X509Certificate2? certificate = tls ? TestCertificate.Create() : null;
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                HashSet<string> places = [];
                byte[] buffer = new byte[50_000];
                long total = 0;
                for (int read; (read = await context.Request.Body.ReadAsync(buffer)) != 0; total += read)
                {
                    places.Add(Where());
                }

                places.Add(Where());
                await context.Response.WriteAsync($"{total}: {string.Join(',', places)}");
            },
            configure: setup =>
            {
                setup.Kestrel = static kestrel => kestrel.Limits.MaxRequestBodySize = null;
                setup.Endpoint = options =>
                {
                    if (certificate is not null)
                    {
                        options.UseHttps(certificate);
                    }
                };
            });
        using HttpClient client = HttpClients.Create(server, "1.1", certificate);
        client.DefaultRequestHeaders.TransferEncodingChunked = chunked;
        using var content = new ByteArrayContent(new byte[10_000_000]);
        using HttpResponseMessage response = await client.PostAsync((Uri?)null, content).InTime();
        Assert.Equal($"10000000: {OnWorker}", await response.Content.ReadAsStringAsync());
    }
}
