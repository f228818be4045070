using System.Net.Sockets;
using System.Text;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>The socket on which a service manager is told things, by the environment. For tests that are alone.</summary>
internal sealed class ServiceManager : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly string? _path;

    internal ServiceManager(bool isAbstract = false)
    {
        string name = $"netpoll-notify-{Guid.NewGuid()}";
        _path = isAbstract ? null : Path.Combine(Path.GetTempPath(), name);
        _socket.Bind(new UnixDomainSocketEndPoint(_path ?? $"\0{name}"));
        Environment.SetEnvironmentVariable("NOTIFY_SOCKET", _path ?? $"@{name}");
    }

    /// <summary>The next thing that it is told.</summary>
    internal async Task<string> ReceiveAsync()
    {
        byte[] buffer = new byte[1024];
        int length = await _socket.ReceiveAsync(buffer).InTime();
        return Encoding.UTF8.GetString(buffer, 0, length);
    }

    /// <summary>Nothing is waiting to be read.</summary>
    internal bool KnowsAll => _socket.Available == 0;

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("NOTIFY_SOCKET", null);
        _socket.Dispose();
        if (_path is not null)
        {
            File.Delete(_path);
        }
    }
}
