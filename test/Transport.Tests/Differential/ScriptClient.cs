using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>A raw client that keeps every byte it received. That the server ends early is an observation, not an error.</summary>
internal sealed partial class ScriptClient(RawClient raw) : IDisposable
{
    // Longer ones are shown by their beginning, their length and their hash.
    private const int ShownBytes = 2000;

    private readonly StringBuilder _received = new();
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _awaited;
    private string _end = "left by the client";

    internal Socket Socket => raw.Socket;

    internal string Received => _received.ToString();

    internal bool Ended { get; private set; }

    /// <summary>The client has ended the connection, in its direction at least.</summary>
    internal bool HasFinished { get; private set; }

    internal Task SendAsync(string text) => raw.SendAsync(text);

    internal Task SendAsync(ReadOnlyMemory<byte> bytes) => raw.SendAsync(bytes);

    /// <summary>
    /// For a server that may close while the client is sending still. The send then takes the error, and what is received last looks
    /// like a FIN, whatever it was.
    /// </summary>
    internal async Task TrySendAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await raw.SendAsync(bytes);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown or SocketError.ConnectionAborted)
        {
        }
    }

    /// <summary>Receives until the text has come, behind what an earlier call waited for; or until the server ends.</summary>
    internal async Task ReceiveUntilAsync(string text, int times = 1)
    {
        while (true)
        {
            string unread = _received.ToString(_awaited, _received.Length - _awaited);
            int end = 0;
            int found = 0;
            for (int at; found < times && (at = unread.IndexOf(text, end, StringComparison.Ordinal)) >= 0; found++)
            {
                end = at + text.Length;
            }

            if (found == times)
            {
                _awaited += end;
                return;
            }

            if (!await ReceiveSomeAsync())
            {
                return;
            }
        }
    }

    internal async Task ReceiveAsync(int count)
    {
        int all = _received.Length + count;
        while (_received.Length < all && await ReceiveSomeAsync())
        {
        }
    }

    internal async Task ReceiveToEndAsync()
    {
        while (await ReceiveSomeAsync())
        {
        }
    }

    /// <summary>Sends FIN; the server may go on sending. Or may be gone.</summary>
    internal void Finish()
    {
        HasFinished = true;
        try
        {
            raw.ShutdownSend();
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.NotConnected)
        {
        }
    }

    internal void Reset()
    {
        HasFinished = true;
        raw.Reset();
        _end = "reset by the client";
    }

    public void Dispose() => raw.Dispose();

    internal IEnumerable<string> Lines()
    {
        string text = Date().Replace(Received, "Date: masked");
        if (text.Length > ShownBytes)
        {
            string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.Latin1.GetBytes(text)))[..16];
            text = string.Create(CultureInfo.InvariantCulture, $"{text[..400]}\r\n... {text.Length} bytes, {hash}");
        }

        if (text.Length != 0)
        {
            foreach (string line in text.Replace("\r", "\\r", StringComparison.Ordinal).Replace("\0", "\\0", StringComparison.Ordinal).Split('\n'))
            {
                yield return line;
            }
        }

        yield return $"({_end})";
    }

    private async Task<bool> ReceiveSomeAsync()
    {
        if (Ended)
        {
            return false;
        }

        try
        {
            int count = await raw.ReceiveAsync(_buffer);
            if (count > 0)
            {
                _received.Append(Encoding.Latin1.GetString(_buffer, 0, count));
                return true;
            }

            _end = "FIN";
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            _end = "RST";
        }

        Ended = true;
        return false;
    }

    [GeneratedRegex("Date: [^\r]*")]
    private static partial Regex Date();
}
