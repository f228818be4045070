namespace KestrelNetpoll.Native.Interop;

// What no other system has; the loops are as those of the calls that all have.
internal partial class SystemCalls
{
    internal SyscallResult EpollCreate()
    {
        SyscallResult result;
        while ((result = EpollCreateOnce(LibC.EPOLL_CLOEXEC)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult EpollCtl(int epfd, int op, int fd, uint events, ulong data)
    {
        SyscallResult result;
        while ((result = EpollCtlOnce(epfd, op, fd, events, data)).IsInterrupted) { }
        return result;
    }

    /// <summary>Waits; a negative timeout is for ever. A signal ends the wait with 0 events: only the caller knows what is left of its
    /// timeout.</summary>
    internal SyscallResult EpollWait(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds)
    {
        SyscallResult result = EpollWaitOnce(epfd, buffer, maxEvents, timeoutMilliseconds);
        return result.IsInterrupted ? SyscallResult.Success(0) : result;
    }

    /// <summary>
    /// As <see cref="EpollWait"/>, to the nanosecond. ENOSYS (a kernel before 5.11) and EPERM (an old seccomp profile) mean
    /// that it will never work here and that the caller should use <see cref="EpollWait"/>.
    /// </summary>
    internal SyscallResult EpollPwait2(int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds)
    {
        SyscallResult result = EpollPwait2Once(epfd, buffer, maxEvents, timeoutNanoseconds);
        return result.IsInterrupted ? SyscallResult.Success(0) : result;
    }

    internal SyscallResult EventFd(uint initial, int flags)
    {
        SyscallResult result;
        while ((result = EventFdOnce(initial, flags | LibC.EFD_CLOEXEC)).IsInterrupted) { }
        return result;
    }
}
