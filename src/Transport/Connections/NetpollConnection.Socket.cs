using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// The connection's socket, for those who want to set or read an option of it. Made when first asked for, since few do. It does not own
/// the descriptor. The runtime's own poller learns of it only from asynchronous I/O on it, which would race with the connection's.
/// </summary>
/// <remarks>
/// A call on the Socket may be under way when the connection ends, and the number must not be given back under it. The Socket's handle
/// counts its users. Once it has been disposed of, nobody enters. It is closed when the last of them has left, and
/// <see cref="SafeHandle.IsClosed"/> says so. The handle is disposed of, not the Socket: <see cref="Socket.Dispose()"/> holds its thread
/// until they have left, which may be never.
/// <para>A duplicate of the descriptor, owned by the Socket, would need no waiting, but it would</para>
/// <list type="bullet">
/// <item>cost a descriptor, which nobody counts where they are scarce;</item>
/// <item>put off the end that the peer sees until it is closed;</item>
/// <item>let a Socket.Close(0) by the application turn the connection's FIN into a RST.</item>
/// </list>
/// </remarks>
internal sealed partial class NetpollConnection : IConnectionSocketFeature
{
    // In _exposedSocket: the connection has been closed, it is too late.
    private static readonly object TooLate = new();

    // How often somebody who is inside a call on the Socket when the connection ends is asked to leave.
    private static readonly TimeSpan MinReleasePause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxReleasePause = TimeSpan.FromSeconds(1);

    // Null, the Socket, or TooLate; Interlocked. While it is the Socket, a reference keeps the descriptor from being closed, so that the
    // Socket never reaches a stranger that got the number next.
    private object? _exposedSocket;

    Socket IConnectionSocketFeature.Socket
    {
        get
        {
            // What is sent or shut down here does not overtake what was flushed before.
            _writer.SendHeld();
            return Volatile.Read(ref _exposedSocket) as Socket ?? ExposeSocket();
        }
    }

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

    /// <summary>After the close. Elsewhere, because disposing of the handle ends I/O that somebody has begun on the Socket.</summary>
    private void ReleaseExposedSocket(bool reset)
    {
        if (Interlocked.Exchange(ref _exposedSocket, TooLate) is Socket socket)
        {
            ThreadPoolQueue.Add(
                static state => _ = state.Connection.ReleaseExposedSocketAsync(state.Socket, state.Reset),
                (Connection: this, Socket: socket, Reset: reset));
        }
    }

    private async Task ReleaseExposedSocketAsync(Socket socket, bool reset)
    {
        SafeSocketHandle handle = socket.SafeHandle;
        handle.Dispose();
        for (TimeSpan pause = MinReleasePause; !handle.IsClosed; pause = pause < MaxReleasePause ? pause * 2 : MaxReleasePause)
        {
            // While it lingers, the peer still has its time.
            if (_socket.IsClosed)
            {
                _socket.Disconnect(reset);
            }

            await Task.Delay(pause).ConfigureAwait(false);
        }

        // Nobody is inside a call any more, whatever becomes of the Socket itself, which is only marked now.
        _socket.ReleaseReference();
        socket.Dispose();
    }
}
