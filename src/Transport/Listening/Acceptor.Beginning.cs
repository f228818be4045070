using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>One connection: taken from the kernel, decided about, and begun; or given back, whatever has gone wrong.</summary>
internal sealed partial class Acceptor
{
    // Success without a connection: it was not wanted, and there may be more.
    // A failure is the exception behind an errno that no system call has returned.
    private Errno TryAccept(out NetpollConnection? connection, out Exception? failure)
    {
        connection = null;
        failure = null;
        var held = new HeldConnection();
        try
        {
            SyscallResult result = _socket.Take(out TakenSocket taken);
            if (result.IsError)
            {
                return result.Errno;
            }

            held.Taken = taken;

            _services.Headroom.OnAccepted(taken.Fd);
            if (_services.AcceptPolicy is { } policy
                && policy.Decide(_socket.LocalEndPoint, taken) is var decision and not AcceptDecision.Accept)
            {
                held.Taken = null;
                _socket.Refuse(taken, reset: decision != AcceptDecision.Close);
                return Errno.Success;
            }

            held.HasPlace = true;
            StreamSocket socket = _socket.Adopt(taken, _services.Runtime.ChooseGroup(_socket.Group));
            held.Socket = socket;
            var accepted = new NetpollConnection(_services, socket, _socket.LocalEndPointOf(socket));
            accepted.Start();
            connection = accepted;
            return Errno.Success;
        }
        catch (SocketException e)
        {
            // The kernel has no room for another watch. This connection is lost, the listener is not.
            GiveUp(held);
            NetpollTransportLog.ConnectionError(_services.Logger, connectionId: null, e);
            failure = e;
            return Errno.EIO;
        }
        catch (Exception e)
        {
            GiveUp(held);
            NetpollTransportLog.UnexpectedAcceptException(_services.Logger, _socket.LocalEndPoint, e);
            failure = e;
            return Errno.EIO;
        }
    }

    private void GiveUp(in HeldConnection held)
    {
        if (held.Taken is not { } taken)
        {
            return;
        }

        if (held.Socket is { } socket)
        {
            socket.Close(reset: true);
        }
        else
        {
            // There was no memory for one.
            _socket.Refuse(taken, reset: true);
        }

        if (held.HasPlace)
        {
            _services.AcceptPolicy?.OnEnded(taken.Network);
        }
    }

    // What has to be given back if a connection cannot be begun. HasPlace: it counts as one of its client's.
    private record struct HeldConnection(TakenSocket? Taken, StreamSocket? Socket, bool HasPlace);
}
