using System.Buffers.Binary;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Pings and pongs are invisible to both ends of the API, so this client makes its frames by hand.</summary>
public class WebSocketKeepAliveTests
{
    private const byte Text = 1;
    private const byte Ping = 9;
    private const byte Pong = 10;

    private const string Upgrade =
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_servers_pings_go_on_while_they_are_answered(TransportKind kind)
    {
        await using TestServer server = await WebSocketServer.StartAsync(
            kind,
            WebSocketServer.EchoAsync,
            accept: new WebSocketAcceptContext { KeepAliveInterval = TimeSpan.FromMilliseconds(20), KeepAliveTimeout = Patience.Limit });
        using RawClient client = await ConnectAsync(server);

        for (int i = 0; i < 5; i++)
        {
            (byte opcode, byte[] payload) = await ReceiveFrameAsync(client);
            Assert.Equal(Ping, opcode);
            await SendFrameAsync(client, Pong, payload);
        }

        await SendFrameAsync(client, Text, "hello"u8.ToArray());
        Assert.Equal("hello", Encoding.ASCII.GetString(await ReceivePastAsync(client, Ping, Text)));
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_client_that_does_not_answer_pings_is_given_up(TransportKind kind)
    {
        var outcome = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await WebSocketServer.StartAsync(
            kind,
            async (_, socket) => outcome.TrySetResult(await Record.ExceptionAsync(async () => await socket.ReceiveAsync(new byte[10].AsMemory(), default))),
            accept: new WebSocketAcceptContext { KeepAliveInterval = TimeSpan.FromMilliseconds(20), KeepAliveTimeout = TimeSpan.FromMilliseconds(100) });
        using RawClient client = await ConnectAsync(server);

        Assert.NotNull(await outcome.Task.InTime());
        await client.ReadToEndAsync();
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_clients_pings_are_answered_with_what_they_carry(TransportKind kind)
    {
        await using TestServer server = await WebSocketServer.StartAsync(kind, WebSocketServer.EchoAsync, accept: new WebSocketAcceptContext { KeepAliveInterval = TimeSpan.Zero });
        using RawClient client = await ConnectAsync(server);

        for (int size = 0; size <= 125; size += 25)
        {
            byte[] payload = new byte[size];
            Array.Fill(payload, (byte)'p');
            await SendFrameAsync(client, Ping, payload);
            (byte opcode, byte[] answer) = await ReceiveFrameAsync(client);
            Assert.Equal(Pong, opcode);
            Assert.Equal(payload, answer);
        }
    }

    private static async Task<RawClient> ConnectAsync(TestServer server)
    {
        RawClient client = await server.ConnectAsync();
        await client.SendAsync(Upgrade);
        Assert.Equal(101, (await client.ReadResponseAsync()).Status);
        return client;
    }

    private static Task SendFrameAsync(RawClient client, byte opcode, byte[] payload)
    {
        // A mask of zeroes leaves the payload as it is.
        byte[] frame = new byte[6 + payload.Length];
        frame[0] = (byte)(0x80 | opcode);
        frame[1] = (byte)(0x80 | payload.Length);
        payload.CopyTo(frame, 6);
        return client.SendAsync(frame);
    }

    private static async Task<(byte Opcode, byte[] Payload)> ReceiveFrameAsync(RawClient client)
    {
        byte[] head = await client.ReadExactlyAsync(2);
        int length = head[1] == 126 ? BinaryPrimitives.ReadUInt16BigEndian(await client.ReadExactlyAsync(2)) : head[1];
        return ((byte)(head[0] & 0xF), await client.ReadExactlyAsync(length));
    }

    private static async Task<byte[]> ReceivePastAsync(RawClient client, byte skipped, byte wanted)
    {
        while (true)
        {
            (byte opcode, byte[] payload) = await ReceiveFrameAsync(client);
            if (opcode == wanted)
            {
                return payload;
            }

            Assert.Equal(skipped, opcode);
        }
    }
}
