using System.Buffers.Binary;
using System.Security.Cryptography;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>The client's side of RFC 6455 by hand, on a connection whose every byte is the test's.</summary>
internal static class WebSocketWire
{
    private const string Handshake =
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    internal static async Task<RawClient> ConnectAsync(TestServer server)
    {
        RawClient client = await server.ConnectAsync();
        await client.SendAsync(Handshake);

        // The key and its answer are those of RFC 6455, section 1.3.
        Assert.Equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", (await client.ReadResponseAsync()).Headers["Sec-WebSocket-Accept"]);
        return client;
    }

    /// <summary>A frame as clients send it: masked.</summary>
    internal static byte[] Frame(byte first, ReadOnlySpan<byte> payload)
    {
        byte[] length = new byte[payload.Length < 126 ? 1 : payload.Length < 65_536 ? 3 : 9];
        length[0] = (byte)(0x80 | (length.Length switch { 1 => payload.Length, 3 => 126, _ => 127 }));
        if (length.Length == 3)
        {
            BinaryPrimitives.WriteUInt16BigEndian(length.AsSpan(1), (ushort)payload.Length);
        }
        else if (length.Length == 9)
        {
            BinaryPrimitives.WriteInt64BigEndian(length.AsSpan(1), payload.Length);
        }

        byte[] mask = RandomNumberGenerator.GetBytes(4);
        byte[] masked = payload.ToArray();
        for (int i = 0; i < masked.Length; i++)
        {
            masked[i] ^= mask[i % 4];
        }

        return [first, .. length, .. mask, .. masked];
    }

    internal static async Task SendByteByByteAsync(RawClient client, byte[] bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            await client.SendAsync(bytes.AsMemory(i, 1));
        }
    }

    internal static async Task<(byte First, byte[] Payload)> ReadFrameAsync(RawClient client)
    {
        byte[] header = await client.ReadExactlyAsync(2);
        int length = header[1];
        Assert.InRange(length, 0, 126);
        if (length == 126)
        {
            length = BinaryPrimitives.ReadUInt16BigEndian(await client.ReadExactlyAsync(2));
        }

        return (header[0], await client.ReadExactlyAsync(length));
    }

    /// <summary>Frames up to the end of a message, and whether a pong was among them.</summary>
    internal static async Task<(byte[] Bytes, bool Pong)> ReadMessageAsync(RawClient client, int size)
    {
        var message = new List<byte>(size);
        bool pong = false;
        while (true)
        {
            (byte first, byte[] payload) = await ReadFrameAsync(client);
            if (first == 0x8A)
            {
                pong = true;
                continue;
            }

            message.AddRange(payload);
            if ((first & 0x80) != 0)
            {
                return ([.. message], pong);
            }
        }
    }
}
