namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// The kernel, as this library sees it: every system call goes through an instance of this class.
/// </summary>
/// <remarks>
/// <para>
/// The methods without <c>Once</c> are what callers use, and the only place that deals with EINTR: none of them ever returns it. Each calls
/// an <c>XxxOnce</c> method that makes the call, once. Those are virtual so that a test can replace the kernel (a simulated
/// epoll that delivers a stale event at the worst moment, EMFILE from accept, a short write), and they sit <i>below</i> the
/// retry loops so that an injected EINTR goes through the loops that production runs.
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

    /// <summary>On failure both descriptors are -1.</summary>
    internal SyscallResult Pipe2(out int read, out int write, int flags)
    {
        SyscallResult result;
        while ((result = Pipe2Once(out read, out write, flags | LibC.O_CLOEXEC)).IsInterrupted) { }
        return result;
    }

    /// <summary>A path with a NUL in it is EINVAL: C would silently open the part before it.</summary>
    internal SyscallResult Open(string path, int flags, uint mode)
    {
        if (path.Contains('\0'))
        {
            return SyscallResult.Failure(Errno.EINVAL);
        }

        SyscallResult result;
        while ((result = OpenOnce(path, flags | LibC.O_CLOEXEC, mode)).IsInterrupted) { }
        return result;
    }

    /// <inheritdoc cref="Open"/>
    internal SyscallResult MkFifo(string path, uint mode)
    {
        if (path.Contains('\0'))
        {
            return SyscallResult.Failure(Errno.EINVAL);
        }

        SyscallResult result;
        while ((result = MkFifoOnce(path, mode)).IsInterrupted) { }
        return result;
    }

    /// <inheritdoc cref="Open"/>
    internal SyscallResult Chmod(string path, uint mode)
    {
        if (path.Contains('\0'))
        {
            return SyscallResult.Failure(Errno.EINVAL);
        }

        SyscallResult result;
        while ((result = ChmodOnce(path, mode)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// The permissions of an open file; of a Unix socket that is not bound yet, those that its file will have, less the umask.
    /// </summary>
    internal SyscallResult Fchmod(int fd, uint mode)
    {
        SyscallResult result;
        while ((result = FchmodOnce(fd, mode)).IsInterrupted) { }
        return result;
    }

    /// <summary>The open file's status flags and access mode (F_GETFL).</summary>
    internal SyscallResult GetFlags(int fd)
    {
        SyscallResult result;
        while ((result = GetFlagsOnce(fd)).IsInterrupted) { }
        return result;
    }

    /// <summary>Sets the status flags (F_SETFL), for every descriptor that shares the open file.</summary>
    internal SyscallResult SetFlags(int fd, int flags)
    {
        SyscallResult result;
        while ((result = SetFlagsOnce(fd, flags)).IsInterrupted) { }
        return result;
    }

    /// <summary>The capacity of a pipe or FIFO (F_GETPIPE_SZ); EBADF for anything else, which makes it a test for pipes.</summary>
    internal SyscallResult GetPipeSize(int fd)
    {
        SyscallResult result;
        while ((result = GetPipeSizeOnce(fd)).IsInterrupted) { }
        return result;
    }

    /// <summary>Another number for the same open file (F_DUPFD_CLOEXEC).</summary>
    internal SyscallResult Duplicate(int fd)
    {
        SyscallResult result;
        while ((result = DuplicateOnce(fd)).IsInterrupted) { }
        return result;
    }

    /// <summary>Which file a path names, without following a link at its end.</summary>
    /// <inheritdoc cref="Open"/>
    internal SyscallResult Identify(string path, out FileIdentity identity)
    {
        identity = default;
        if (path.Contains('\0'))
        {
            return SyscallResult.Failure(Errno.EINVAL);
        }

        SyscallResult result;
        while ((result = IdentifyOnce(path, out identity)).IsInterrupted) { }
        return result;
    }

    /// <summary>Which file it is that a descriptor has open.</summary>
    internal SyscallResult Identify(int fd, out FileIdentity identity)
    {
        SyscallResult result;
        while ((result = IdentifyDescriptorOnce(fd, out identity)).IsInterrupted) { }
        return result;
    }

    /// <summary>What the file is that a path names, at the end of all links.</summary>
    /// <inheritdoc cref="Open"/>
    internal SyscallResult GetStatus(string path, out FileStatus status)
    {
        status = default;
        if (path.Contains('\0'))
        {
            return SyscallResult.Failure(Errno.EINVAL);
        }

        SyscallResult result;
        while ((result = StatusOnce(LibC.AT_FDCWD, path, 0, out status)).IsInterrupted) { }
        return result;
    }

    /// <summary>What an open descriptor is.</summary>
    internal SyscallResult GetStatus(int fd, out FileStatus status)
    {
        SyscallResult result;
        while ((result = StatusOnce(fd, "", LibC.AT_EMPTY_PATH, out status)).IsInterrupted) { }
        return result;
    }

    /// <summary>Which of these events a descriptor has now, or an error or a hang-up, which are always told. Does not wait.</summary>
    internal SyscallResult Poll(int fd, short events, out short revents)
    {
        SyscallResult result;
        while ((result = PollOnce(fd, events, out revents)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// Fails unless it is a terminal. <paramref name="returnsNothing"/>: a read that finds nothing gives 0 bytes (VMIN is 0, and it is not
    /// in canonical mode).
    /// </summary>
    internal SyscallResult GetTerminalMode(int fd, out bool returnsNothing)
    {
        SyscallResult result;
        while ((result = GetTerminalModeOnce(fd, out returnsNothing)).IsInterrupted) { }
        return result;
    }

    /// <summary>The number of the terminal that belongs to a pseudo-terminal's master, under /dev/pts; fails for anything else.</summary>
    internal SyscallResult GetTerminalNumber(int master, out int number)
    {
        SyscallResult result;
        while ((result = GetTerminalNumberOnce(master, out number)).IsInterrupted) { }
        return result;
    }

    /// <summary>Lets the terminal of a new pseudo-terminal be opened.</summary>
    internal SyscallResult UnlockTerminal(int master)
    {
        SyscallResult result;
        while ((result = UnlockTerminalOnce(master)).IsInterrupted) { }
        return result;
    }

    /// <summary>Copies from one pipe to another, leaving it in the first. 0: nobody writes to it. EAGAIN: somebody does, and nothing is
    /// there.</summary>
    internal SyscallResult Tee(int from, int to, int count)
    {
        SyscallResult result;
        while ((result = TeeOnce(from, to, count)).IsInterrupted) { }
        return result;
    }

    /// <summary>Sets the flags of this descriptor alone (F_SETFD): <see cref="LibC.FD_CLOEXEC"/> is the only one.</summary>
    internal SyscallResult SetFdFlags(int fd, int flags)
    {
        SyscallResult result;
        while ((result = SetFdFlagsOnce(fd, flags)).IsInterrupted) { }
        return result;
    }

    /// <summary>
    /// Makes a tun or tap device and attaches it to <paramref name="fd"/>. An empty name, or one with <c>%d</c>, lets the
    /// kernel choose; <paramref name="actualName"/> is what it became, or empty after an error. A name that does not fit is EINVAL.
    /// </summary>
    internal SyscallResult TunSetIff(int fd, string name, short flags, out string actualName)
    {
        if (name.Contains('\0'))
        {
            actualName = "";
            return SyscallResult.Failure(Errno.EINVAL);
        }

        SyscallResult result;
        while ((result = TunSetIffOnce(fd, name, flags, out actualName)).IsInterrupted) { }
        return result;
    }
}
