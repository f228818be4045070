namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
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

    /// <summary>Which signal tells of input, once somebody wants one (F_GETSIG). 0: SIGIO, as nobody has chosen.</summary>
    internal SyscallResult GetSignal(int fd)
    {
        SyscallResult result;
        while ((result = GetSignalOnce(fd)).IsInterrupted) { }
        return result;
    }

    /// <summary>Chooses that signal (F_SETSIG), for every descriptor that shares the open file.</summary>
    internal SyscallResult SetSignal(int fd, int signal)
    {
        SyscallResult result;
        while ((result = SetSignalOnce(fd, signal)).IsInterrupted) { }
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
    /// Waits until one of several descriptors has what is asked of it; the answers are in the list, and the result is how many have one. A
    /// negative timeout is for ever. A signal ends the wait with 0: only the caller knows what is left of its timeout.
    /// </summary>
    /// <param name="asked">In memory that does not move: the caller may sleep for long.</param>
    /// <param name="timeoutMilliseconds">0 asks without waiting.</param>
    internal SyscallResult PollAll(Span<pollfd> asked, int timeoutMilliseconds)
    {
        SyscallResult result = PollAllOnce(asked, timeoutMilliseconds);
        return result.IsInterrupted ? SyscallResult.Success(0) : result;
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
