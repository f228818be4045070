using System.Net;
using System.Net.Sockets;

namespace KestrelNetpoll.Transport;

/// <summary>
/// What a proxy has said about a connection in its PROXY protocol header: a feature of the connection, which a request finds in
/// <c>HttpContext.Features</c>. Its absence means that the connection began without a header. Immutable, so safe from any thread.
/// </summary>
public interface IProxyProtocolFeature
{
    /// <summary>Gets the version of the header.</summary>
    /// <value>1: text; 2: binary.</value>
    int Version { get; }

    /// <summary>Gets why the proxy has opened the connection.</summary>
    ProxyProtocolCommand Command { get; }

    /// <summary>Gets who has connected to the proxy. The connection's remote endpoint has this value as well.</summary>
    /// <value>
    /// An <see cref="IPEndPoint"/> or a <see cref="UnixDomainSocketEndPoint"/>; <see langword="null"/> if the proxy does not say, and
    /// for a connection of its own. The connection's endpoints are then those of the socket.
    /// </value>
    EndPoint? SourceEndPoint { get; }

    /// <summary>Gets where that client has connected to. The connection's local endpoint has this value as well.</summary>
    /// <value>Of the same kind as <see cref="SourceEndPoint"/>; <see langword="null"/> together with it.</value>
    EndPoint? DestinationEndPoint { get; }

    /// <summary>Gets the address of the proxy: the remote end of the socket.</summary>
    EndPoint? SocketRemoteEndPoint { get; }

    /// <summary>Gets where the proxy has connected to: the local end of the socket.</summary>
    EndPoint? SocketLocalEndPoint { get; }

    /// <summary>Gets what else a binary header says.</summary>
    /// <value>
    /// Empty for a text header and for <see cref="ProxyProtocolCommand.Local"/>. A checksum among them has been verified.
    /// </value>
    ProxyProtocolTlvs Tlvs { get; }
}
