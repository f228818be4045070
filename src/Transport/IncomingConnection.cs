using System.Net;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport;

/// <summary>
/// A connection that has been accepted, and for which nothing has been allocated yet. Everything is looked up when it is asked for.
/// </summary>
public readonly ref struct IncomingConnection
{
    private readonly TakenSocket _taken;

    internal IncomingConnection(EndPoint endPoint, in TakenSocket taken)
    {
        EndPoint = endPoint;
        _taken = taken;
    }

    /// <summary>Gets the endpoint that the client has connected to, as it is bound.</summary>
    public EndPoint EndPoint { get; }

    /// <summary>
    /// Gets the client's address; made at each call. An IPv4 client of an endpoint for both families is <c>::ffff:a.b.c.d</c>.
    /// </summary>
    /// <value><see langword="null"/> for Unix sockets.</value>
    public IPEndPoint? RemoteEndPoint => _taken.RemoteEndPoint as IPEndPoint;

    /// <summary>Asks who has connected to a Unix socket (<c>SO_PEERCRED</c>), at each call.</summary>
    /// <returns>The credentials; <see langword="null"/> for other sockets.</returns>
    public UnixPeerCredentials? GetPeerCredentials() => UnixPeerCredentials.From(_taken.GetPeerCredentials());
}
