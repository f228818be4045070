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

    protected internal virtual SyscallResult SocketOnce(int domain, int type, int protocol) =>
        SyscallResult.FromReturnValue(LibC.socket(domain, type, protocol));

    protected internal virtual unsafe SyscallResult SocketPairOnce(int domain, int type, int protocol, out int first, out int second)
    {
        int* descriptors = stackalloc int[2] { -1, -1 };
        int result = LibC.socketpair(domain, type, protocol, descriptors);
        first = descriptors[0];
        second = descriptors[1];
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual unsafe SyscallResult BindOnce(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* pointer = address)
        {
            return SyscallResult.FromReturnValue(LibC.bind(fd, pointer, (uint)address.Length));
        }
    }

    protected internal virtual SyscallResult ListenOnce(int fd, int backlog) =>
        SyscallResult.FromReturnValue(LibC.listen(fd, backlog));

    protected internal virtual unsafe SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
    {
        // An empty span is a null pointer, which tells the kernel that nobody wants the address.
        uint length = (uint)address.Length;
        fixed (byte* pointer = address)
        {
            int result = LibC.accept4(fd, pointer, &length, flags);
            addressLength = (int)length;
            return SyscallResult.FromReturnValue(result);
        }
    }

    protected internal virtual unsafe SyscallResult ConnectOnce(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* pointer = address)
        {
            return SyscallResult.FromReturnValue(LibC.connect(fd, pointer, (uint)address.Length));
        }
    }

    protected internal virtual unsafe SyscallResult GetSockNameOnce(int fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* pointer = address)
        {
            int result = LibC.getsockname(fd, pointer, &length);
            addressLength = (int)length;
            return SyscallResult.FromReturnValue(result);
        }
    }

    protected internal virtual unsafe SyscallResult GetPeerNameOnce(int fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* pointer = address)
        {
            int result = LibC.getpeername(fd, pointer, &length);
            addressLength = (int)length;
            return SyscallResult.FromReturnValue(result);
        }
    }

    protected internal virtual unsafe SyscallResult SetSockOptOnce(int fd, int level, int option, int value) =>
        SyscallResult.FromReturnValue(LibC.setsockopt(fd, level, option, &value, sizeof(int)));

    protected internal virtual unsafe SyscallResult SetLingerOnce(int fd, bool on, int seconds)
    {
        linger value = new() { l_onoff = on ? 1 : 0, l_linger = seconds };
        return SyscallResult.FromReturnValue(LibC.setsockopt(fd, LibC.SOL_SOCKET, LibC.SO_LINGER, &value, (uint)sizeof(linger)));
    }

    protected internal virtual unsafe SyscallResult GetSockOptOnce(int fd, int level, int option, out int value)
    {
        int read = 0;
        uint length = sizeof(int);
        int result = LibC.getsockopt(fd, level, option, &read, &length);
        value = read;
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual unsafe SyscallResult GetUnsentOnce(int fd)
    {
        int unsent = 0;
        SyscallResult result = SyscallResult.FromReturnValue(LibC.ioctl(fd, LibC.SIOCOUTQ, &unsent));
        return result.IsSuccess ? SyscallResult.Success(unsent) : result;
    }

    protected internal virtual SyscallResult ShutdownOnce(int fd, int how) =>
        SyscallResult.FromReturnValue(LibC.shutdown(fd, how));

    protected internal virtual unsafe SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags)
    {
        fixed (byte* pointer = buffer)
        {
            return SyscallResult.FromReturnValue(LibC.recv(fd, pointer, (nuint)buffer.Length, flags));
        }
    }

    protected internal virtual unsafe SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags)
    {
        fixed (byte* pointer = buffer)
        {
            return SyscallResult.FromReturnValue(LibC.send(fd, pointer, (nuint)buffer.Length, flags));
        }
    }

    protected internal virtual unsafe SyscallResult SendMsgOnce(int fd, ReadOnlySpan<iovec> buffers, int flags)
    {
        fixed (iovec* pointer = buffers)
        {
            msghdr message = new() { msg_iov = pointer, msg_iovlen = (nuint)buffers.Length };
            return SyscallResult.FromReturnValue(LibC.sendmsg(fd, &message, flags));
        }
    }
}
