using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// The connection's socket, for those who want to set or read an option of it. Made when first asked for, since few do. It does not own
/// the descriptor, and the runtime's own poller does not know of it unless somebody begins asynchronous I/O on it, which would race with
/// the connection's.
/// </summary>
internal sealed partial class NetpollConnection : IConnectionSocketFeature
{
    // In _exposedSocket: the connection has been closed, it is too late.
    private static readonly object TooLate = new();

    // Null, the Socket, or TooLate; Interlocked. While it is the Socket, a reference keeps the descriptor from being closed, so that the
    // Socket never reaches a stranger that got the number next.
    private object? _exposedSocket;

    Socket IConnectionSocketFeature.Socket => Volatile.Read(ref _exposedSocket) as Socket ?? ExposeSocket();

    private Socket ExposeSocket()
    {
        ObjectDisposedException.ThrowIf(!_socket.Lifetime.TryAddReference(), this);
        Socket? socket = null;
        object? exposed = null;
        try
        {
            socket = new Socket(new SafeSocketHandle(_socket.Fd, ownsHandle: false));
            exposed = Interlocked.CompareExchange(ref _exposedSocket, socket, null);
            if (exposed is null)
            {
                return socket;
            }
        }
        finally
        {
            if (socket is null || exposed is not null)
            {
                socket?.Dispose();
                _socket.ReleaseReference();
            }
        }

        // Somebody was quicker: another who asks, or the close.
        return exposed as Socket ?? throw new ObjectDisposedException(nameof(Socket), "The connection has been closed.");
    }

    /// <summary>After the close. Elsewhere, because disposing of a socket that is in use waits for its users.</summary>
    private void ReleaseExposedSocket()
    {
        if (Interlocked.Exchange(ref _exposedSocket, TooLate) is Socket socket)
        {
            ThreadPool.UnsafeQueueUserWorkItem(
                static state =>
                {
                    state.Socket.Dispose();
                    state.Connection._socket.ReleaseReference();
                },
                (Socket: socket, Connection: this),
                preferLocal: false);
        }
    }
}
