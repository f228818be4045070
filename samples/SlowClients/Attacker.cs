using System.Net.Sockets;
using System.Text;

namespace SlowClients;

/// <summary>Each holds a connection of the server for as long as it is let.</summary>
internal sealed class Attacker : IDisposable
{
    private const string Headers = "GET / HTTP/1.1\r\nHost: x\r\n";
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
    private readonly byte[] _buffer = new byte[4096];
    private readonly Task _end;
    private bool _hasConnected;

    private Attacker(Uri server, Func<Attacker, Task> attack, CancellationToken end) => _end = RunAsync(server, attack, end);

    /// <summary>What they do, and the limit that ends it.</summary>
    internal static IReadOnlyList<(string Does, Func<Attacker, Task> Attack)> Kinds { get; } =
    [
        ("connects, and sends nothing", static me => me.WaitForEndAsync()),
        ("sends half of its headers", static me => me.SendAndWaitAsync(Headers)),
        ("asks for 64 MB, and reads none", static me => me.AskAndNotReadAsync()),
        ("asks again and again, for ever", static me => me.AskForeverAsync()),
    ];

    /// <summary>One that has never come has not left, either.</summary>
    internal bool HasLeft => _end.IsCompleted && _hasConnected;

    internal static Attacker Start(Uri server, Func<Attacker, Task> attack, CancellationToken end) => new(server, attack, end);

    public void Dispose() => _socket.Dispose();

    private async Task RunAsync(Uri server, Func<Attacker, Task> attack, CancellationToken end)
    {
        try
        {
            await _socket.ConnectAsync(server.Host, server.Port, end);
            _hasConnected = true;
            await attack(this);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The server has closed the connection, or this program ends.
        }
    }

    private async Task SendAndWaitAsync(string text)
    {
        await SendAsync(text);
        await WaitForEndAsync();
    }

    // A connection that nobody reads does not tell that it was reset: one looks.
    private async Task AskAndNotReadAsync()
    {
        await SendAsync($"GET {GuardedServer.Large} HTTP/1.1\r\nHost: x\r\n\r\n");
        while (!_socket.Poll(0, SelectMode.SelectError))
        {
            await Task.Delay(Pause);
        }
    }

    private async Task AskForeverAsync()
    {
        do
        {
            await SendAsync(Headers + "\r\n");
            await Task.Delay(Pause);
        }
        while (await _socket.ReceiveAsync(_buffer) > 0);
    }

    private async Task WaitForEndAsync()
    {
        while (await _socket.ReceiveAsync(_buffer) > 0)
        {
            // Whatever it says.
        }
    }

    private async Task SendAsync(string text) => await _socket.SendAsync(Encoding.ASCII.GetBytes(text));
}
