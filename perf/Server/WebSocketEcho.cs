using System.Net.WebSockets;

namespace KestrelNetpoll.Perf.Server;

/// <summary>Sends each message back. A pipeline of its own, so that no other route pays for the middleware.</summary>
internal static class WebSocketEcho
{
    private const int BufferSize = 4096;

    internal static RequestDelegate Build(IApplicationBuilder application)
    {
        IApplicationBuilder branch = application.New();
        branch.UseWebSockets();
        branch.Run(EchoAsync);
        return branch.Build();
    }

    private static async Task EchoAsync(HttpContext context)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
        byte[] buffer = new byte[BufferSize];
        while (true)
        {
            ValueWebSocketReceiveResult received = await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
                return;
            }

            await socket.SendAsync(
                buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, context.RequestAborted);
        }
    }
}
