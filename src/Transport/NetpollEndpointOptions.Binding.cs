using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport;

/// <content>Listening sockets that the application makes.</content>
public abstract partial class NetpollEndpointOptions
{
    /// <summary>
    /// Gets or sets what makes the socket for an endpoint: bound, not listening. The transport listens on it and disposes of it when the
    /// endpoint is unbound, or when that fails. For socket options that have none here; such a function usually calls
    /// <see cref="CreateDefaultBoundListenSocket"/> and sets the option. Called once for each endpoint, handles included. A socket that is
    /// not bound, and null, are refused.
    /// </summary>
    /// <remarks>
    /// Every option here that is set on a listening socket is set on this one as well, afterwards, and wins: <see cref="NoDelay"/>
    /// always, and those that are not null of the keep-alive options, <see cref="UserTimeout"/>, <see cref="DeferAccept"/>,
    /// <see cref="FastOpen"/>, <see cref="ReceiveBufferSize"/>, <see cref="SendBufferSize"/>, <see cref="Mark"/> and
    /// <see cref="TypeOfService"/>. Only for a <see cref="FileHandleEndPoint"/>, which others may be using, they are set on each
    /// connection instead, where that is possible. It is listened on with <see cref="Backlog"/>, and becomes non-blocking. What belongs
    /// to binding is up to the function: <see cref="UnixSocketMode"/>, <see cref="ReplaceStaleUnixSocket"/>, <see cref="FreeBind"/>,
    /// <see cref="BindToDevice"/> and <see cref="MultipathTcp"/> have no effect, and <see cref="ReusePort"/> and
    /// <see cref="AcceptStrategy.ReusePort"/> neither: all worker groups share the socket.
    /// </remarks>
    /// <value>The default is <see cref="CreateDefaultBoundListenSocket"/>, in whose place the transport makes its own system calls.</value>
    public Func<EndPoint, Socket> CreateBoundListenSocket { get; set; } = CreateDefaultBoundListenSocket;

    /// <summary>Makes a socket for an endpoint as the transport does with default options.</summary>
    /// <param name="endpoint">An IP, Unix domain or file handle endpoint.</param>
    /// <returns>A socket that is bound and not listening; of a file handle, one that leaves the handle open when it is disposed.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="endpoint"/> is null.</exception>
    /// <exception cref="SocketException">The socket cannot be made or bound.</exception>
    public static Socket CreateDefaultBoundListenSocket(EndPoint endpoint)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        switch (endpoint)
        {
            case FileHandleEndPoint handle:
                return new Socket(new SafeSocketHandle((IntPtr)handle.FileHandle, ownsHandle: false));
            case UnixDomainSocketEndPoint:
                return Bind(new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified), endpoint);
            default:
                var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                if (endpoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any))
                {
                    socket.DualMode = true;
                }

                return Bind(socket, endpoint);
        }
    }

    private static Socket Bind(Socket socket, EndPoint endpoint)
    {
        try
        {
            socket.Bind(endpoint);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
