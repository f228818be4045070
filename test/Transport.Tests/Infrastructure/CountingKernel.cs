using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>The kernel, with a count of what a connection's life is made of.</summary>
internal sealed class CountingKernel : SystemCalls
{
    private long _receives;
    private long _sends;
    private long _others;

    internal (long Receives, long Sends, long Others) Counts =>
        (Volatile.Read(ref _receives), Volatile.Read(ref _sends), Volatile.Read(ref _others));

    protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags)
    {
        Interlocked.Increment(ref _receives);
        return base.RecvOnce(fd, buffer, flags);
    }

    protected internal override SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers)
    {
        Interlocked.Increment(ref _receives);
        return base.ReadvOnce(fd, buffers);
    }

    protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags)
    {
        Interlocked.Increment(ref _sends);
        return base.SendOnce(fd, buffer, flags);
    }

    protected internal override SyscallResult SendMsgOnce(int fd, ReadOnlySpan<iovec> buffers, int flags)
    {
        Interlocked.Increment(ref _sends);
        return base.SendMsgOnce(fd, buffers, flags);
    }

    protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data)
    {
        Interlocked.Increment(ref _others);
        return base.EpollCtlOnce(epfd, op, fd, events, data);
    }

    protected internal override SyscallResult SetSockOptOnce(int fd, int level, int option, int value)
    {
        Interlocked.Increment(ref _others);
        return base.SetSockOptOnce(fd, level, option, value);
    }
}
