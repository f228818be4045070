using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>Accepting in two steps, between which somebody may decide, and what the kernel holds until then.</summary>
internal sealed partial class ListenSocket
{
    /// <summary>
    /// Takes one connection, which is only a number: to be passed to <see cref="Adopt"/> or <see cref="Refuse"/>. Errors as from
    /// <see cref="Accept"/>. Any thread.
    /// </summary>
    internal SyscallResult AcceptNumber(out SocketAddressBytes address)
    {
        address = default;
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        // Of a Unix peer's name a part is enough to see that there is one.
        SyscallResult result = SystemCalls.Accept4(Fd, address.Buffer, out int length, LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC);
        ReleaseReference();
        address = address.WithLength(result.IsSuccess ? length : 0);
        return result;
    }

    /// <summary>The socket of a connection that was taken; it belongs to <paramref name="group"/> and is not started yet.</summary>
    internal StreamSocket Adopt(int fd, in SocketAddressBytes address, WorkerGroup group)
    {
        // An option that the kernel refuses is not worth a connection.
        foreach (SocketOption option in AcceptedOptions)
        {
            SystemCalls.SetSockOpt(fd, option.Level, option.Option, option.Value);
        }

        return new StreamSocket(fd, group, SystemCalls, address);
    }

    /// <summary>Closes a connection that was taken and is not wanted, with FIN, or with RST.</summary>
    internal void Refuse(int fd, bool reset)
    {
        if (reset)
        {
            SystemCalls.SetLinger(fd, on: true, seconds: 0);
        }

        SystemCalls.Close(fd);
    }

    /// <summary>Can its connections have several paths (MPTCP)? Asks the kernel; false after a close.</summary>
    internal bool IsMultipath
    {
        get
        {
            if (!Lifetime.TryAddReference())
            {
                return false;
            }

            SyscallResult result = SystemCalls.GetSockOpt(Fd, LibC.SOL_SOCKET, LibC.SO_PROTOCOL, out int protocol);
            ReleaseReference();
            return result.IsSuccess && protocol == LibC.IPPROTO_MPTCP;
        }
    }

    /// <summary>
    /// How many connections wait to be accepted, and how many may. False for a socket that is none of TCP, and after a close.
    /// </summary>
    internal bool TryGetQueue(out int pending, out int limit)
    {
        pending = limit = 0;
        if (!Lifetime.TryAddReference())
        {
            return false;
        }

        Span<byte> buffer = stackalloc byte[TcpMeasurements.Length];
        SyscallResult result = SystemCalls.GetSockOptBytes(Fd, LibC.IPPROTO_TCP, LibC.TCP_INFO, buffer, out int length);
        ReleaseReference();
        if (result.IsError)
        {
            return false;
        }

        // Of a socket that listens, these two mean something else.
        var measured = new TcpMeasurements(buffer[..Math.Min(length, buffer.Length)]);
        pending = (int)(measured.ReadUInt32(TcpMeasurements.UnackedOffset) ?? 0);
        limit = (int)(measured.ReadUInt32(TcpMeasurements.SackedOffset) ?? 0);
        return true;
    }
}
