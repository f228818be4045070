using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

internal static class SocketPeek
{
    /// <summary>1: there is data. 0: end of stream. Takes nothing out, except a pending error, which is reported once.</summary>
    internal static SyscallResult Peek(this StreamSocket socket)
    {
        if (!socket.Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        Span<byte> one = stackalloc byte[1];
        SyscallResult result = socket.SystemCalls.Recv(socket.Fd, one, TestLibC.MSG_PEEK);
        socket.ReleaseReference();
        return result;
    }
}
