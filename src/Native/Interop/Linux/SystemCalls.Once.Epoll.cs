using Tmds.Linux;
using TmdsLibC = Tmds.Linux.LibC;

namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    protected internal virtual SyscallResult EpollCreateOnce(int flags) =>
        SyscallResult.FromReturnValue(TmdsLibC.epoll_create1(flags));

    protected internal virtual unsafe SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data)
    {
        epoll_event asked = new() { events = (int)events };
        asked.data.u64 = data;
        return SyscallResult.FromReturnValue(TmdsLibC.epoll_ctl(epfd, op, fd, &asked));
    }

    protected internal virtual unsafe SyscallResult EpollWaitOnce(
        int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxEvents, buffer.Capacity);
        int count = LibC.epoll_wait(epfd, buffer.Pointer, maxEvents, timeoutMilliseconds);
        GC.KeepAlive(buffer);
        return SyscallResult.FromReturnValue(count);
    }

    protected internal virtual unsafe SyscallResult EpollPwait2Once(
        int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxEvents, buffer.Capacity);
        timespec timeout = timespec.FromNanoseconds(timeoutNanoseconds);

        // No timespec is no timeout. Without a signal mask the kernel does not look at the mask's size.
        nint count = LibC.syscall(
            LibC.SYS_epoll_pwait2,
            epfd,
            (nint)buffer.Pointer,
            maxEvents,
            timeoutNanoseconds < 0 ? 0 : (nint)(&timeout),
            0,
            0);
        GC.KeepAlive(buffer);
        return SyscallResult.FromReturnValue(count);
    }

    protected internal virtual SyscallResult EventFdOnce(uint initial, int flags) =>
        SyscallResult.FromReturnValue(TmdsLibC.eventfd(initial, flags));
}
