using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>A client that sends and receives when it is told to, over TLS or not, and with little in between.</summary>
internal sealed class StreamClient : IDisposable
{
    private readonly Socket _socket;
    private readonly Stream _stream;

    private StreamClient(Socket socket, Stream stream) => (_socket, _stream) = (socket, stream);

    internal static async Task<StreamClient> ConnectAsync(IPEndPoint endPoint, bool tls)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
        {
            NoDelay = true,
            ReceiveBufferSize = 16 * 1024,
        };
        try
        {
            await socket.ConnectAsync(endPoint).InTime();
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (tls)
            {
                // Nobody but this test can be in between.
                var secure = new SslStream(stream, leaveInnerStreamOpen: false, static (_, certificate, _, _) => certificate?.Subject == TestCertificate.Subject);
                await secure.AuthenticateAsClientAsync("localhost").InTime();
                stream = secure;
            }

            return new StreamClient(socket, stream);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Ends when the kernel has taken everything, however long that takes.</summary>
    internal Task SendAsync(ReadOnlyMemory<byte> bytes) => _stream.WriteAsync(bytes).AsTask();

    internal Task SendAsync(string text) => SendAsync(Encoding.ASCII.GetBytes(text));

    /// <summary>The body of a response that has a length, and nothing behind it.</summary>
    internal async Task<byte[]> ReadBodyAsync(int length)
    {
        byte[] one = new byte[1];
        var head = new StringBuilder();
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await _stream.ReadExactlyAsync(one).InTime();
            head.Append((char)one[0]);
        }

        Assert.StartsWith("HTTP/1.1 200 OK\r\n", head.ToString(), StringComparison.Ordinal);
        Assert.Contains($"Content-Length: {length}\r\n", head.ToString(), StringComparison.Ordinal);
        byte[] body = new byte[length];
        await _stream.ReadExactlyAsync(body).InTime();
        return body;
    }

    /// <summary>Until the server's end of the connection, whatever that is.</summary>
    internal async Task<int> DrainAsync()
    {
        byte[] buffer = new byte[64 * 1024];
        int total = 0;
        try
        {
            int count;
            while ((count = await _stream.ReadAsync(buffer).InTime()) != 0)
            {
                total += count;
            }
        }
        catch (IOException)
        {
            // Reset.
        }

        return total;
    }

    internal void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Dispose();
    }

    public void Dispose()
    {
        // Not the TLS stream, which would want to say goodbye to a server that does not listen.
        _socket.Dispose();
    }
}
