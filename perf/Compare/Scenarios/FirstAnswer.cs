using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Perf.Compare.Load;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>One request over a bare socket: an <see cref="HttpClient"/> would take time of its own to get going.</summary>
internal static class FirstAnswer
{
    private const int BufferSize = 4096;

    internal static async Task GetAsync(string host, int port, string path, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(host, port, cancellationToken);
        await socket.SendAsync(
            Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), cancellationToken);
        byte[] buffer = new byte[BufferSize];
        int received = await socket.ReceiveAsync(buffer, cancellationToken);
        string answer = Encoding.ASCII.GetString(buffer, 0, received);
        if (!answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal))
        {
            throw new LoadException($"The first answer is wrong: {answer}");
        }
    }
}
