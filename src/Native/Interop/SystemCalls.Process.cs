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

    /// <summary>The process's soft limit of a resource; <see cref="long.MaxValue"/>: none.</summary>
    internal SyscallResult GetResourceLimit(int resource, out long limit)
    {
        SyscallResult result;
        while ((result = GetResourceLimitOnce(resource, out limit)).IsInterrupted) { }
        return result;
    }

    /// <summary>Whose rights the process has: what a peer is told of it (<see cref="GetPeerCredentials"/>).</summary>
    internal SyscallResult GetEffectiveUserId()
    {
        SyscallResult result;
        while ((result = GetEffectiveUserIdOnce()).IsInterrupted) { }
        return result;
    }
}
