using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>One end of a hand-over, by hand: says what it likes.</summary>
internal sealed class RawPeer(Socket socket) : IDisposable
{
    internal Socket Socket => socket;

    internal static async Task<RawPeer> ConnectAsync(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path)).InTime();
        return new RawPeer(socket);
    }

    internal void Send(char kind, string payload = "", params int[] descriptors) => Send(Message(kind, payload), descriptors);

    internal void Send(byte[] bytes, params int[] descriptors)
    {
        SyscallResult sent = SystemCalls.Instance.SendDescriptors((int)socket.Handle, bytes, descriptors);
        Assert.Equal(bytes.Length, sent.Value);
    }

    internal static byte[] Message(char kind, string payload)
    {
        byte[] message = [(byte)kind, 0, 0, .. Encoding.UTF8.GetBytes(payload)];
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(1), (ushort)(message.Length - 3));
        return message;
    }

    /// <summary>The kind of the next message, and what it says; descriptors are closed by the kernel. Null at the end.</summary>
    internal async Task<(char Kind, string Payload)?> ReceiveAsync()
    {
        byte[] header = new byte[3];
        if (await ReadAsync(header) < header.Length)
        {
            return null;
        }

        byte[] payload = new byte[BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(1))];
        Assert.Equal(payload.Length, await ReadAsync(payload));
        return ((char)header[0], Encoding.UTF8.GetString(payload));
    }

    public void Dispose() => socket.Dispose();

    private async Task<int> ReadAsync(byte[] buffer)
    {
        int read = 0;
        try
        {
            while (read < buffer.Length && await socket.ReceiveAsync(buffer.AsMemory(read)).InTime() is > 0 and var count)
            {
                read += count;
            }
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Closed with something unread.
        }

        return read;
    }
}
