using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>How the other side ended the connection.</summary>
internal enum PeerEnd
{
    Fin,
    Reset,
}

internal sealed record RawResponse(int Status, Dictionary<string, string> Headers, byte[] Body)
{
    internal string Text => Encoding.Latin1.GetString(Body);
}

/// <summary>A client that controls every byte and every close. One reader at a time.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;

    private RawClient(Socket socket) => Socket = socket;

    internal Socket Socket { get; }

    /// <summary>Of a socket that may not be connected yet.</summary>
    internal static RawClient Create(Socket socket) => new(socket);

    /// <summary>Not connected yet, with a receive buffer of a size of its own.</summary>
    internal static RawClient Create(EndPoint endPoint, int receiveBufferSize) =>
        new(new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.IP) { ReceiveBufferSize = receiveBufferSize });

    internal static async Task<RawClient> ConnectAsync(EndPoint endPoint)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.IP);
        try
        {
            if (endPoint is IPEndPoint)
            {
                socket.NoDelay = true;
            }

            await socket.ConnectAsync(endPoint).InTime();
            return new RawClient(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    internal Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    internal async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await Socket.SendAsync(bytes).InTime()..];
        }
    }

    /// <summary>Bytes as they come; 0 after the peer's FIN.</summary>
    internal async Task<int> ReceiveAsync(Memory<byte> destination)
    {
        if (_start == _end)
        {
            return await Socket.ReceiveAsync(destination).InTime();
        }

        int count = Math.Min(destination.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(destination.Span);
        _start += count;
        return count;
    }

    internal async Task<byte[]> ReadExactlyAsync(int count)
    {
        byte[] bytes = new byte[count];
        for (int read = 0; read < count;)
        {
            int received = await ReceiveAsync(bytes.AsMemory(read));
            Assert.True(received != 0, $"The connection ended after {read} of {count} bytes.");
            read += received;
        }

        return bytes;
    }

    internal async Task<string> ReadLineAsync()
    {
        var line = new StringBuilder();
        while (true)
        {
            if (_start == _end)
            {
                _start = 0;
                _end = await Socket.ReceiveAsync(_buffer.AsMemory()).InTime();
                Assert.True(_end != 0, $"The connection ended within the line '{line}'.");
            }

            char c = (char)_buffer[_start++];
            if (c == '\n')
            {
                return line.ToString().TrimEnd('\r');
            }

            line.Append(c);
        }
    }

    /// <summary>Reads one response with a Content-Length, a chunked body or none.</summary>
    internal async Task<RawResponse> ReadResponseAsync()
    {
        int status = int.Parse((await ReadLineAsync()).Split(' ')[1], CultureInfo.InvariantCulture);
        Dictionary<string, string> headers = new(StringComparer.OrdinalIgnoreCase);
        for (string line = await ReadLineAsync(); line.Length != 0; line = await ReadLineAsync())
        {
            string[] parts = line.Split(':', 2);
            headers[parts[0]] = parts[1].Trim();
        }

        byte[] body = [];
        if (headers.TryGetValue("Content-Length", out string? length))
        {
            body = await ReadExactlyAsync(int.Parse(length, CultureInfo.InvariantCulture));
        }
        else if (headers.ContainsKey("Transfer-Encoding"))
        {
            body = await ReadChunksAsync();
        }

        return new RawResponse(status, headers, body);
    }

    /// <summary>Reads what is left, and how it ended.</summary>
    internal async Task<(byte[] Bytes, PeerEnd End)> ReadToEndAsync()
    {
        using var rest = new MemoryStream();
        byte[] buffer = new byte[16 * 1024];
        try
        {
            while (true)
            {
                int count = await ReceiveAsync(buffer);
                if (count == 0)
                {
                    return (rest.ToArray(), PeerEnd.Fin);
                }

                rest.Write(buffer, 0, count);
            }
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return (rest.ToArray(), PeerEnd.Reset);
        }
    }

    internal void ShutdownSend() => Socket.Shutdown(SocketShutdown.Send);

    /// <summary>Ends the connection with RST.</summary>
    internal void Reset()
    {
        Socket.LingerState = new LingerOption(true, 0);
        Socket.Close();
    }

    public void Dispose() => Socket.Dispose();

    private async Task<byte[]> ReadChunksAsync()
    {
        using var body = new MemoryStream();
        while (true)
        {
            int size = int.Parse(await ReadLineAsync(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            body.Write(await ReadExactlyAsync(size));
            Assert.Equal("", await ReadLineAsync());
            if (size == 0)
            {
                return body.ToArray();
            }
        }
    }
}
