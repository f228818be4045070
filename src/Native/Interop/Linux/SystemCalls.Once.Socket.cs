using Tmds.Linux;
using TmdsLibC = Tmds.Linux.LibC;

namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    protected internal virtual SyscallResult SocketOnce(int domain, int type, int protocol) =>
        SyscallResult.FromReturnValue(TmdsLibC.socket(domain, type, protocol));

    protected internal virtual unsafe SyscallResult SocketPairOnce(int domain, int type, int protocol, out int first, out int second)
    {
        int* descriptors = stackalloc int[2] { -1, -1 };
        int result = TmdsLibC.socketpair(domain, type, protocol, descriptors);
        first = descriptors[0];
        second = descriptors[1];
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual unsafe SyscallResult BindOnce(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* pointer = address)
        {
            return SyscallResult.FromReturnValue(TmdsLibC.bind(fd, (sockaddr*)pointer, address.Length));
        }
    }

    protected internal virtual SyscallResult ListenOnce(int fd, int backlog) =>
        SyscallResult.FromReturnValue(TmdsLibC.listen(fd, backlog));

    protected internal virtual unsafe SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
    {
        // An empty span is a null pointer, which tells the kernel that nobody wants the address.
        socklen_t length = address.Length;
        fixed (byte* pointer = address)
        {
            int result = TmdsLibC.accept4(fd, (sockaddr*)pointer, &length, flags);
            addressLength = (int)length;
            return SyscallResult.FromReturnValue(result);
        }
    }

    protected internal virtual unsafe SyscallResult ConnectOnce(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* pointer = address)
        {
            return SyscallResult.FromReturnValue(TmdsLibC.connect(fd, (sockaddr*)pointer, address.Length));
        }
    }

    protected internal virtual unsafe SyscallResult GetSockNameOnce(int fd, Span<byte> address, out int addressLength)
    {
        socklen_t length = address.Length;
        fixed (byte* pointer = address)
        {
            int result = TmdsLibC.getsockname(fd, (sockaddr*)pointer, &length);
            addressLength = (int)length;
            return SyscallResult.FromReturnValue(result);
        }
    }

    protected internal virtual unsafe SyscallResult GetPeerNameOnce(int fd, Span<byte> address, out int addressLength)
    {
        socklen_t length = address.Length;
        fixed (byte* pointer = address)
        {
            int result = TmdsLibC.getpeername(fd, (sockaddr*)pointer, &length);
            addressLength = (int)length;
            return SyscallResult.FromReturnValue(result);
        }
    }

    protected internal virtual unsafe SyscallResult SetSockOptOnce(int fd, int level, int option, int value) =>
        SyscallResult.FromReturnValue(TmdsLibC.setsockopt(fd, level, option, &value, sizeof(int)));

    protected internal virtual unsafe SyscallResult SetLingerOnce(int fd, bool on, int seconds)
    {
        linger value = new() { l_onoff = on ? 1 : 0, l_linger = seconds };
        return SyscallResult.FromReturnValue(TmdsLibC.setsockopt(fd, LibC.SOL_SOCKET, TmdsLibC.SO_LINGER, &value, sizeof(linger)));
    }

    protected internal virtual unsafe SyscallResult GetSockOptOnce(int fd, int level, int option, out int value)
    {
        int read = 0;
        socklen_t length = sizeof(int);
        int result = TmdsLibC.getsockopt(fd, level, option, &read, &length);
        value = read;
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual unsafe SyscallResult SetSockOptBytesOnce(int fd, int level, int option, ReadOnlySpan<byte> value)
    {
        fixed (byte* pointer = value)
        {
            return SyscallResult.FromReturnValue(TmdsLibC.setsockopt(fd, level, option, pointer, value.Length));
        }
    }

    protected internal virtual unsafe SyscallResult GetSockOptBytesOnce(int fd, int level, int option, Span<byte> value, out int length)
    {
        socklen_t given = value.Length;
        fixed (byte* pointer = value)
        {
            int result = TmdsLibC.getsockopt(fd, level, option, pointer, &given);
            length = result < 0 ? 0 : Math.Min((int)given, value.Length);
            return SyscallResult.FromReturnValue(result);
        }
    }

    protected internal virtual unsafe SyscallResult GetPeerCredentialsOnce(int fd, out int processId, out uint userId, out uint groupId)
    {
        ucred credentials = default;
        socklen_t length = sizeof(ucred);
        int result = TmdsLibC.getsockopt(fd, LibC.SOL_SOCKET, TmdsLibC.SO_PEERCRED, &credentials, &length);
        processId = credentials.pid;
        userId = credentials.uid;
        groupId = credentials.gid;
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual unsafe SyscallResult GetUnsentOnce(int fd)
    {
        int unsent = 0;
        SyscallResult result = SyscallResult.FromReturnValue(LibC.ioctl(fd, LibC.SIOCOUTQ, &unsent));
        return result.IsSuccess ? SyscallResult.Success(unsent) : result;
    }

    protected internal virtual SyscallResult ShutdownOnce(int fd, int how) =>
        SyscallResult.FromReturnValue(TmdsLibC.shutdown(fd, how));

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
