namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    /// <summary>The calling thread's id, as <c>/proc/self/task</c> names it.</summary>
    internal SyscallResult GetThreadId()
    {
        SyscallResult result;
        while ((result = GetThreadIdOnce()).IsInterrupted) { }
        return result;
    }

    /// <summary>How long a thread of this process has run on a processor so far.</summary>
    internal SyscallResult GetThreadCpuTime(int threadId, out long nanoseconds)
    {
        SyscallResult result;
        while ((result = GetThreadCpuTimeOnce(threadId, out nanoseconds)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// How late the kernel may end the calling thread's timed waits, to save wake-ups: 50 µs unless somebody says otherwise. Only a wish.
    /// </summary>
    internal SyscallResult SetTimerSlack(long nanoseconds)
    {
        SyscallResult result;
        while ((result = SetTimerSlackOnce(nanoseconds)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// Sleeps while <paramref name="word"/> is <paramref name="expected"/>, until a wake, the timeout, or for no reason, a signal among
    /// them: only the caller knows what is left of its timeout.
    /// </summary>
    /// <param name="word">In memory that does not move.</param>
    /// <param name="expected">Anything else there ends the call at once.</param>
    /// <param name="timeoutNanoseconds">On the monotonic clock; negative: none.</param>
    internal SyscallResult FutexWait(ref int word, int expected, long timeoutNanoseconds)
    {
        SyscallResult result = FutexWaitOnce(ref word, expected, timeoutNanoseconds);
        return result.IsInterrupted ? SyscallResult.Success(0) : result;
    }

    /// <summary>Wakes one thread that sleeps on the word; the result is how many there were.</summary>
    internal SyscallResult FutexWake(ref int word)
    {
        SyscallResult result;
        while ((result = FutexWakeOnce(ref word)).IsInterrupted) { }
        return result;
    }

    /// <summary>1 if the descriptor has something to read now, or an error; otherwise 0.</summary>
    internal SyscallResult PollReadable(int fd)
    {
        SyscallResult result;
        while ((result = PollReadableOnce(fd)).IsInterrupted) { }
        return result;
    }

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
}
