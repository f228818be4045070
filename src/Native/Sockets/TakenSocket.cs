using System.Net;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// A connection that the kernel has given, and for which nothing has been allocated yet. To be passed on once, to
/// <see cref="ListenSocket.Adopt"/> or <see cref="ListenSocket.Refuse"/>.
/// </summary>
internal readonly struct TakenSocket(int fd, in SocketAddressBytes address, SystemCalls systemCalls)
{
    private readonly SocketAddressBytes _address = address;

    internal int Fd { get; } = fd;

    /// <summary>The peer; made at each call. A Unix one is without its name.</summary>
    internal EndPoint? RemoteEndPoint => _address.ToEndPoint();

    /// <summary>Whose address the peer's is; null if it is none of IP.</summary>
    internal NetworkKey? Network => _address.Network;

    internal SocketAddressBytes Address => _address;

    /// <summary>Asks the kernel at each call. Null: it is no Unix socket, or the kernel does not say.</summary>
    internal PeerCredentials? GetPeerCredentials() => _address.IsUnix ? PeerCredentials.Of(Fd, systemCalls) : null;
}
