using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>Accepting in two steps, between which somebody may decide, and what the kernel holds until then.</summary>
internal sealed partial class ListenSocket
{
    // As much as a new connection has room for, by default.
    private const int DiscardBlockSize = 8 * 1024;
    private const int MaxDiscards = 16;

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
    /// Takes one connection, if there is one. Otherwise the errno: EAGAIN, EBADF after a close, EMFILE and its like, which need a pause:
    /// the connection stays in the backlog and no new edge will announce it; or an error of a connection
    /// (<see cref="IsErrorOfTheConnection"/>). Any thread.
    /// </summary>
    internal SyscallResult Take(out TakenSocket taken)
    {
        taken = default;
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        // Of a Unix peer's name a part is enough to see that there is one.
        SocketAddressBytes address = default;
        SyscallResult result = SystemCalls.Accept4(Fd, address.Buffer, out int length, LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC);
        ReleaseReference();
        if (result.IsSuccess)
        {
            taken = new TakenSocket(result.Value, address.WithLength(length), SystemCalls);
        }

        return result;
    }

    /// <summary>The socket of a connection that was taken; it belongs to <paramref name="group"/> and is not started yet.</summary>
    internal StreamSocket Adopt(in TakenSocket taken, WorkerGroup group)
    {
        // An option that the kernel refuses is not worth a connection.
        foreach (SocketOption option in AcceptedOptions)
        {
            SystemCalls.SetSockOpt(taken.Fd, option.Level, option.Option, option.Value);
        }

        return new StreamSocket(taken.Fd, group, SystemCalls, taken.Address);
    }

    /// <summary>
    /// Closes a connection that was taken and is not wanted, with RST, or with FIN; what a client sends after that is answered with RST.
    /// </summary>
    internal void Refuse(in TakenSocket taken, bool reset)
    {
        if (reset)
        {
            SystemCalls.SetLinger(taken.Fd, on: true, seconds: 0);
        }
        else
        {
            SystemCalls.Shutdown(taken.Fd, LibC.SHUT_WR);
            Discard(taken.Fd);
        }

        SystemCalls.Close(taken.Fd);
    }

    // What has come already: closed with that unread, the connection would be reset.
    private void Discard(int fd)
    {
        Span<byte> scrap = stackalloc byte[DiscardBlockSize];
        for (int i = 0; i < MaxDiscards && SystemCalls.Recv(fd, scrap, flags: 0) is { IsSuccess: true, Value: > 0 }; i++)
        {
        }
    }

    /// <summary>
    /// How many connections wait to be accepted, and how many may. False for a socket that is none of TCP, and after a close. Any thread.
    /// </summary>
    internal bool TryGetQueue(out int pending, out int limit)
    {
        pending = limit = 0;
        if (!Lifetime.TryAddReference())
        {
            return false;
        }

        Span<byte> info = stackalloc byte[TcpMeasurements.Length];
        SyscallResult result = SystemCalls.GetSockOptBytes(Fd, LibC.IPPROTO_TCP, LibC.TCP_INFO, info, out int length);
        ReleaseReference();
        if (result.IsError)
        {
            return false;
        }

        var measured = TcpMeasurements.From(info[..length]);
        pending = (int)(measured.UnacknowledgedSegments ?? 0);
        limit = (int)(measured.SelectivelyAcknowledgedSegments ?? 0);
        return true;
    }
}
