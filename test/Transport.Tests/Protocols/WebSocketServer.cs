using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>An application that accepts WebSockets, and clients of it.</summary>
internal static class WebSocketServer
{
    internal static Task<TestServer> StartAsync(
        TransportKind kind,
        Func<HttpContext, WebSocket, Task> app,
        X509Certificate2? certificate = null,
        bool http2 = false,
        WebSocketAcceptContext? accept = null) =>
        TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options =>
            {
                options.Protocols = http2 ? HttpProtocols.Http2 : HttpProtocols.Http1;
                if (certificate is not null)
                {
                    options.UseHttps(certificate);
                }
            };
            setup.Pipeline = static application => application.UseWebSockets();
            setup.App = async context =>
            {
                using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync(accept ?? new WebSocketAcceptContext());
                await app(context, socket);
            };
        });

    internal static async Task<ClientWebSocket> ConnectAsync(TestServer server, X509Certificate2? certificate = null, bool http2 = false)
    {
        var client = new ClientWebSocket();
        try
        {
            client.Options.HttpVersion = http2 ? HttpVersion.Version20 : HttpVersion.Version11;
            client.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
            using var invoker = new HttpMessageInvoker(HttpClients.CreateHandler(server, certificate), disposeHandler: false);
            await client.ConnectAsync(new Uri($"{(certificate is null ? "ws" : "wss")}://localhost:{server.EndPoint.Port}/hub"), invoker, default).InTime();
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>Sends every frame back as it came, with its type and its end-of-message bit, and answers the close.</summary>
    internal static async Task EchoAsync(HttpContext context, WebSocket socket)
    {
        byte[] buffer = new byte[10_000];
        while (true)
        {
            ValueWebSocketReceiveResult result = await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted);
            if (result.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseAsync(socket.CloseStatus!.Value, socket.CloseStatusDescription, context.RequestAborted);
                return;
            }

            await socket.SendAsync(buffer.AsMemory(0, result.Count), result.MessageType, result.EndOfMessage, context.RequestAborted);
        }
    }

    internal static async Task<(byte[] Message, WebSocketMessageType Type)> ReceiveMessageAsync(WebSocket socket)
    {
        using var message = new MemoryStream();
        byte[] buffer = new byte[8 * 1024];
        while (true)
        {
            ValueWebSocketReceiveResult result = await socket.ReceiveAsync(buffer.AsMemory(), default).InTime();
            message.Write(buffer, 0, result.Count);
            if (result.EndOfMessage)
            {
                return (message.ToArray(), result.MessageType);
            }
        }
    }
}
