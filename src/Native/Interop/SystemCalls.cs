namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// The kernel, as this library sees it: every system call goes through an instance of this class.
/// </summary>
/// <remarks>
/// <para>
/// The methods without <c>Once</c> are what callers use, and the only place that deals with EINTR: none of them ever returns it. Each calls
/// an <c>XxxOnce</c> method that makes the call, once. Those are virtual so that a test can replace the kernel (a simulated
/// epoll that delivers a stale event at the worst moment, EMFILE from accept, a short write), and they sit <i>below</i> the
/// retry loops so that an injected EINTR goes through the loops that production runs. They know one system each: Linux's are in the folder
/// of that name.
/// </para>
/// <para>
/// The loops are written out, three lines each. One method for all of them would take the call as a delegate, which cannot have both spans
/// and out parameters, would cost the hot calls something, and would hide the few that are not retried.
/// </para>
/// <para>
/// Two promises are kept here because a caller could forget them: a descriptor made here is close-on-exec, and a send never
/// raises SIGPIPE. Errors are values (<see cref="SyscallResult"/>); nothing throws for what the kernel answers. A zero-length
/// buffer is passed on as such: what the kernel answers is 0 and says nothing about the end of a stream. Callers keep
/// descriptors valid: a closed number may already belong to someone else. Stateless, so safe from any thread.
/// </para>
/// </remarks>
internal partial class SystemCalls
{
    /// <summary>The real kernel.</summary>
    internal static readonly SystemCalls Instance;

    // Nobody can make a call without an instance.
    static SystemCalls()
    {
        LibC.ResolveGlobally();
        Instance = new SystemCalls();
    }

    internal SyscallResult Read(int fd, Span<byte> buffer)
    {
        SyscallResult result;
        while ((result = ReadOnce(fd, buffer)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Write(int fd, ReadOnlySpan<byte> buffer)
    {
        SyscallResult result;
        while ((result = WriteOnce(fd, buffer)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Readv(int fd, ReadOnlySpan<iovec> buffers)
    {
        SyscallResult result;
        while ((result = ReadvOnce(fd, buffers)).IsInterrupted) { }
        return result;
    }

    internal SyscallResult Writev(int fd, ReadOnlySpan<iovec> buffers)
    {
        SyscallResult result;
        while ((result = WritevOnce(fd, buffers)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// Never retried: Linux has released the number before close can be interrupted, and a second close could hit a
    /// descriptor that another thread has just been given.
    /// </summary>
    internal SyscallResult Close(int fd)
    {
        SyscallResult result = CloseOnce(fd);
        return result.IsInterrupted ? SyscallResult.Success(0) : result;
    }
}
