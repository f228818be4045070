namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    protected internal virtual SyscallResult GetThreadIdOnce() =>
        SyscallResult.FromReturnValue(LibC.syscall(LibC.SYS_gettid, 0, 0, 0, 0, 0, 0));

    protected internal virtual unsafe SyscallResult GetThreadCpuTimeOnce(int threadId, out long nanoseconds)
    {
        timespec time = default;
        int result = LibC.clock_gettime(LibC.CpuClockOfThread(threadId), &time);
        nanoseconds = (time.tv_sec * 1_000_000_000) + time.tv_nsec;
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual SyscallResult SetTimerSlackOnce(long nanoseconds) =>
        SyscallResult.FromReturnValue(LibC.prctl(LibC.PR_SET_TIMERSLACK, (nuint)nanoseconds, 0, 0, 0));

    protected internal virtual unsafe SyscallResult FutexWaitOnce(ref int word, int expected, long timeoutNanoseconds)
    {
        timespec timeout = timespec.FromNanoseconds(timeoutNanoseconds);
        fixed (int* address = &word)
        {
            return SyscallResult.FromReturnValue(LibC.syscall(
                LibC.SYS_futex,
                (nint)address,
                LibC.FUTEX_WAIT_PRIVATE,
                expected,
                timeoutNanoseconds < 0 ? 0 : (nint)(&timeout),
                0,
                0));
        }
    }

    protected internal virtual unsafe SyscallResult FutexWakeOnce(ref int word)
    {
        fixed (int* address = &word)
        {
            return SyscallResult.FromReturnValue(LibC.syscall(LibC.SYS_futex, (nint)address, LibC.FUTEX_WAKE_PRIVATE, 1, 0, 0, 0));
        }
    }

    protected internal virtual unsafe SyscallResult PollReadableOnce(int fd)
    {
        pollfd asked = new() { fd = fd, events = LibC.POLLIN };
        return SyscallResult.FromReturnValue(LibC.poll(&asked, 1, 0));
    }

    protected internal virtual unsafe SyscallResult GetResourceLimitOnce(int resource, out long limit)
    {
        rlimit answer = default;
        int result = LibC.getrlimit(resource, &answer);
        limit = (long)Math.Min(answer.rlim_cur, long.MaxValue);
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual SyscallResult GetEffectiveUserIdOnce() => SyscallResult.Success(LibC.geteuid());
}
