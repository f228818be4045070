using System.Net.WebSockets;
using System.Security.Cryptography;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>WebSockets whose client decides where each byte is cut, and where the connection breaks.</summary>
public class WebSocketWireTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Frames_may_be_cut_anywhere(TransportKind kind)
    {
        await using TestServer server = await StartAsync(kind, EchoAsync);
        using RawClient client = await WebSocketWire.ConnectAsync(server);

        // Every byte alone: each length that a header can hold, and a ping amid the fragments of a message.
        foreach (int size in (int[])[0, 1, 125, 126, 300])
        {
            byte[] payload = RandomNumberGenerator.GetBytes(size);
            await WebSocketWire.SendByteByByteAsync(client, WebSocketWire.Frame(0x02, payload));
            await WebSocketWire.SendByteByByteAsync(client, WebSocketWire.Frame(0x89, "ping"u8));
            await WebSocketWire.SendByteByByteAsync(client, WebSocketWire.Frame(0x80, payload));
            (byte[] first, bool pong) = await WebSocketWire.ReadMessageAsync(client, payload.Length * 2);
            Assert.Equal([.. payload, .. payload], first);
            Assert.True(pong);
        }

        // Several frames at once, with the beginning of one more.
        byte[] frames = [.. ((int[])[3, 4, 70_000]).SelectMany(static size => WebSocketWire.Frame(0x82, new byte[size]))];
        await client.SendAsync(frames.AsMemory(0, 30));
        Assert.Equal(3, (await WebSocketWire.ReadFrameAsync(client)).Payload.Length);
        Assert.Equal(4, (await WebSocketWire.ReadFrameAsync(client)).Payload.Length);
        await client.SendAsync(frames.AsMemory(30));
        Assert.Equal(70_000, (await WebSocketWire.ReadMessageAsync(client, 70_000)).Bytes.Length);

        await client.SendAsync(WebSocketWire.Frame(0x88, [0x03, 0xE8]));
        Assert.Equal(0x88, (await WebSocketWire.ReadFrameAsync(client)).First);
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [InlineData(TransportKind.Sockets, "FIN")]
    [InlineData(TransportKind.Netpoll, "FIN")]
    [InlineData(TransportKind.Sockets, "RST")]
    [InlineData(TransportKind.Netpoll, "RST")]
    public async Task A_client_lost_within_a_frame_ends_the_read_and_fires_RequestAborted(TransportKind kind, string loss)
    {
        var reading = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await StartAsync(kind, async (context, socket) =>
        {
            context.RequestAborted.Register(() => aborted.TrySetResult());
            byte[] buffer = new byte[100];
            await socket.ReceiveAsync(buffer.AsMemory(), default);
            await socket.SendAsync("ok"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, default);
            reading.SetResult(await Record.ExceptionAsync(async () => await socket.ReceiveAsync(buffer.AsMemory(), default)));

            // Nothing is aborted once the handler has returned.
            await aborted.Task;
        });
        using RawClient client = await WebSocketWire.ConnectAsync(server);
        await client.SendAsync(WebSocketWire.Frame(0x81, "hi"u8));
        Assert.Equal("ok"u8.ToArray(), (await WebSocketWire.ReadFrameAsync(client)).Payload);

        await client.SendAsync(WebSocketWire.Frame(0x82, new byte[50]).AsMemory(0, 3));
        if (loss == "FIN")
        {
            client.ShutdownSend();
        }
        else
        {
            client.Reset();
        }

        Assert.NotNull(await reading.Task.InTime());
        await aborted.Task.InTime();
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_server_that_is_sending_learns_that_its_client_was_lost(TransportKind kind)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await StartAsync(kind, async (context, socket) =>
        {
            byte[] block = new byte[64 * 1024];
            while (!context.RequestAborted.IsCancellationRequested && socket.State == WebSocketState.Open)
            {
                await Record.ExceptionAsync(async () => await socket.SendAsync(block.AsMemory(), WebSocketMessageType.Binary, true, default));
            }

            ended.SetResult();
        });
        using RawClient client = await WebSocketWire.ConnectAsync(server);
        await client.ReadExactlyAsync(100_000);

        client.Reset();

        await ended.Task.InTime();
        await server.Pools.AllReturnedAsync();
    }

    private static Task<TestServer> StartAsync(TransportKind kind, Func<HttpContext, WebSocket, Task> app) => TestServer.StartAsync(kind, setup =>
    {
        setup.Pipeline = static application => application.UseWebSockets();
        setup.App = async context =>
        {
            using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
            await app(context, socket);
        };
    });

    private static async Task EchoAsync(HttpContext context, WebSocket socket)
    {
        byte[] buffer = new byte[4_000];
        while (true)
        {
            ValueWebSocketReceiveResult result = await socket.ReceiveAsync(buffer.AsMemory(), default);
            if (result.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default);
                return;
            }

            await socket.SendAsync(buffer.AsMemory(0, result.Count), result.MessageType, result.EndOfMessage, default);
        }
    }
}
