namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    internal SyscallResult Socket(int domain, int type, int protocol)
    {
        SyscallResult result;
        while ((result = SocketOnce(domain, type | LibC.SOCK_CLOEXEC, protocol)).IsInterrupted) { }
        return result;
    }

    /// <summary>On failure both descriptors are -1.</summary>
    internal SyscallResult SocketPair(int domain, int type, int protocol, out int first, out int second)
    {
        SyscallResult result;
        while ((result = SocketPairOnce(domain, type | LibC.SOCK_CLOEXEC, protocol, out first, out second)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Bind(int fd, ReadOnlySpan<byte> address)
    {
        SyscallResult result;
        while ((result = BindOnce(fd, address)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Listen(int fd, int backlog)
    {
        SyscallResult result;
        while ((result = ListenOnce(fd, backlog)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// Accepts; <paramref name="addressLength"/> is the length of the peer's address, which may be more than fitted. With an empty
    /// <paramref name="address"/> the kernel gives none and the length is 0.
    /// </summary>
    internal SyscallResult Accept4(int fd, Span<byte> address, out int addressLength, int flags)
    {
        SyscallResult result;
        while ((result = Accept4Once(fd, address, out addressLength, flags | LibC.SOCK_CLOEXEC)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// Not retried: an interrupted connect goes on in the background, and a second one would say EALREADY. The caller sees
    /// EINPROGRESS, for which it has to wait anyway.
    /// </summary>
    internal SyscallResult Connect(int fd, ReadOnlySpan<byte> address)
    {
        SyscallResult result = ConnectOnce(fd, address);
        return result.IsInterrupted ? SyscallResult.Failure(Errno.EINPROGRESS) : result;
    }

    internal SyscallResult GetSockName(int fd, Span<byte> address, out int addressLength)
    {
        SyscallResult result;
        while ((result = GetSockNameOnce(fd, address, out addressLength)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult GetPeerName(int fd, Span<byte> address, out int addressLength)
    {
        SyscallResult result;
        while ((result = GetPeerNameOnce(fd, address, out addressLength)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult SetSockOpt(int fd, int level, int option, int value)
    {
        SyscallResult result;
        while ((result = SetSockOptOnce(fd, level, option, value)).IsInterrupted) { }
        return result;
    }

    /// <summary>SO_LINGER. On with 0 seconds makes the close that follows reset the connection.</summary>
    internal SyscallResult SetLinger(int fd, bool on, int seconds)
    {
        SyscallResult result;
        while ((result = SetLingerOnce(fd, on, seconds)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult GetSockOpt(int fd, int level, int option, out int value)
    {
        SyscallResult result;
        while ((result = GetSockOptOnce(fd, level, option, out value)).IsInterrupted) { }
        return result;
    }

    /// <summary>Sets an option of any size.</summary>
    internal SyscallResult SetSockOptBytes(int fd, int level, int option, ReadOnlySpan<byte> value)
    {
        SyscallResult result;
        while ((result = SetSockOptBytesOnce(fd, level, option, value)).IsInterrupted) { }
        return result;
    }

    /// <summary>Reads an option of any size.</summary>
    /// <param name="fd">The socket.</param>
    /// <param name="level">SOL_SOCKET, or the protocol.</param>
    /// <param name="option">Its number.</param>
    /// <param name="value">Where it goes.</param>
    /// <param name="length">How much of <paramref name="value"/> the kernel has filled: an older one knows less.</param>
    internal SyscallResult GetSockOptBytes(int fd, int level, int option, Span<byte> value, out int length)
    {
        SyscallResult result;
        while ((result = GetSockOptBytesOnce(fd, level, option, value, out length)).IsInterrupted) { }
        return result;
    }

    /// <summary>SO_PEERCRED: who has connected to a Unix socket. Other sockets say that process 0 has.</summary>
    internal SyscallResult GetPeerCredentials(int fd, out int processId, out uint userId, out uint groupId)
    {
        SyscallResult result;
        while ((result = GetPeerCredentialsOnce(fd, out processId, out userId, out groupId)).IsInterrupted) { }
        return result;
    }

    /// <summary>How many of the bytes sent are still on their way (SIOCOUTQ): a reset would destroy them.</summary>
    internal SyscallResult GetUnsent(int fd)
    {
        SyscallResult result;
        while ((result = GetUnsentOnce(fd)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Shutdown(int fd, int how)
    {
        SyscallResult result;
        while ((result = ShutdownOnce(fd, how)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Recv(int fd, Span<byte> buffer, int flags)
    {
        SyscallResult result;
        while ((result = RecvOnce(fd, buffer, flags)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Send(int fd, ReadOnlySpan<byte> buffer, int flags)
    {
        SyscallResult result;
        while ((result = SendOnce(fd, buffer, flags | LibC.MSG_NOSIGNAL)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult SendMsg(int fd, ReadOnlySpan<iovec> buffers, int flags)
    {
        SyscallResult result;
        while ((result = SendMsgOnce(fd, buffers, flags | LibC.MSG_NOSIGNAL)).IsInterrupted) { }
        return result;
    }
}
