using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class WebSocketTests
{
    [Theory]
    [InlineData(TransportKind.Sockets, false, false)]
    [InlineData(TransportKind.Netpoll, false, false)]
    [InlineData(TransportKind.Netpoll, true, false)]
    [InlineData(TransportKind.Sockets, false, true)]
    [InlineData(TransportKind.Netpoll, false, true)]
    [InlineData(TransportKind.Netpoll, true, true)]
    public async Task Text_and_binary_of_any_size_come_back(TransportKind kind, bool tls, bool http2)
    {
        using X509Certificate2? certificate = tls ? TestCertificate.Create() : null;
        await using TestServer server = await WebSocketServer.StartAsync(kind, WebSocketServer.EchoAsync, certificate, http2);
        using ClientWebSocket client = await WebSocketServer.ConnectAsync(server, certificate, http2);

        var random = new Random(3);
        foreach (int size in (int[])[0, 1, 125, 126, 127, 4_095, 65_535, 65_536, 65_537, 1_000_003])
        {
            foreach (WebSocketMessageType type in (WebSocketMessageType[])[WebSocketMessageType.Binary, WebSocketMessageType.Text])
            {
                byte[] message = new byte[size];
                random.NextBytes(message);
                if (type == WebSocketMessageType.Text)
                {
                    message = Encoding.ASCII.GetBytes(Convert.ToHexString(message)[..size]);
                }

                Task<(byte[] Message, WebSocketMessageType Type)> receiving = WebSocketServer.ReceiveMessageAsync(client);
                await client.SendAsync(message, type, endOfMessage: true, default).InTime();
                (byte[] echoed, WebSocketMessageType echoedType) = await receiving.InTime();
                Assert.True(message.AsSpan().SequenceEqual(echoed));
                Assert.Equal(type, echoedType);
            }
        }

        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "done", default).InTime();
        Assert.Equal((WebSocketCloseStatus.NormalClosure, "done"), (client.CloseStatus, client.CloseStatusDescription));
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(TransportsAndVersions))]
    public async Task A_message_in_fragments_comes_back_while_it_is_being_sent(TransportKind kind, string version)
    {
        bool http2 = version == "2.0";
        await using TestServer server = await WebSocketServer.StartAsync(kind, WebSocketServer.EchoAsync, http2: http2);
        using ClientWebSocket client = await WebSocketServer.ConnectAsync(server, http2: http2);

        byte[] received = new byte[5_000];
        for (int i = 0; i < 50; i++)
        {
            byte[] fragment = new byte[i * 97];
            Array.Fill(fragment, (byte)i);
            await client.SendAsync(fragment.AsMemory(), WebSocketMessageType.Binary, endOfMessage: i == 49, default).InTime();
            int count = 0;
            ValueWebSocketReceiveResult result;
            do
            {
                result = await client.ReceiveAsync(received.AsMemory(count), default).InTime();
                count += result.Count;
            }
            while (count < fragment.Length);

            Assert.True(fragment.AsSpan().SequenceEqual(received.AsSpan(0, count)));
            if (i == 49)
            {
                Assert.True(result.EndOfMessage || (await client.ReceiveAsync(received.AsMemory(), default).InTime()).EndOfMessage);
            }
        }
    }

    [Theory]
    [ClassData(typeof(TransportsAndVersions))]
    public async Task The_server_may_begin_the_close(TransportKind kind, string version)
    {
        bool http2 = version == "2.0";
        var answered = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await WebSocketServer.StartAsync(
            kind,
            async (_, socket) =>
            {
                await socket.SendAsync("last words"u8.ToArray(), WebSocketMessageType.Text, true, default);
                await socket.CloseAsync((WebSocketCloseStatus)4321, "enough", default);
                answered.SetResult(socket.CloseStatusDescription);
            },
            http2: http2);
        using ClientWebSocket client = await WebSocketServer.ConnectAsync(server, http2: http2);

        (byte[] message, _) = await WebSocketServer.ReceiveMessageAsync(client);
        Assert.Equal("last words", Encoding.ASCII.GetString(message));
        ValueWebSocketReceiveResult close = await client.ReceiveAsync(new byte[100].AsMemory(), default).InTime();
        Assert.Equal(WebSocketMessageType.Close, close.MessageType);
        Assert.Equal(((WebSocketCloseStatus)4321, "enough"), (client.CloseStatus, client.CloseStatusDescription));
        await client.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "agreed", default).InTime();

        Assert.Equal("agreed", await answered.Task.InTime());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(TransportsAndVersions))]
    public async Task The_server_sees_a_client_that_is_lost(TransportKind kind, string version)
    {
        bool http2 = version == "2.0";
        var outcome = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await WebSocketServer.StartAsync(
            kind,
            async (context, socket) =>
            {
                context.RequestAborted.Register(() => aborted.TrySetResult());
                outcome.TrySetResult(await Record.ExceptionAsync(async () => await socket.ReceiveAsync(new byte[10].AsMemory(), default)));
                await aborted.Task;
            },
            http2: http2);
        using ClientWebSocket client = await WebSocketServer.ConnectAsync(server, http2: http2);

        client.Abort();

        Assert.IsType<Exception>(await outcome.Task.InTime(), exactMatch: false);
        await aborted.Task.InTime();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }
}
