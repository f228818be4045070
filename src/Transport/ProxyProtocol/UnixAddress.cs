using System.Net;
using System.Net.Sockets;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>
/// Reads <c>sun_path</c>: a path that ends with a zero byte or fills all places, an abstract name behind one, or no name.
/// </summary>
internal static class UnixAddress
{
    private const int PathOffset = sizeof(ushort);

    private static readonly UnixDomainSocketEndPoint Factory = new("/");

    internal static EndPoint Read(ReadOnlySpan<byte> path)
    {
        // The length of an abstract name is not told: zeros behind it are padding.
        path = path[0] == 0 ? path.TrimEnd((byte)0) : path.IndexOf((byte)0) is >= 0 and var end ? path[..end] : path;
        var address = new SocketAddress(AddressFamily.Unix, PathOffset + path.Length);
        path.CopyTo(address.Buffer.Span[PathOffset..]);
        return Factory.Create(address);
    }
}
