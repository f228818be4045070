using System.Runtime.InteropServices;
using System.Text;

namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    protected internal virtual unsafe SyscallResult ReadOnce(int fd, Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return SyscallResult.FromReturnValue(LibC.read(fd, pointer, (nuint)buffer.Length));
        }
    }

    protected internal virtual unsafe SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return SyscallResult.FromReturnValue(LibC.write(fd, pointer, (nuint)buffer.Length));
        }
    }

    protected internal virtual unsafe SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers)
    {
        fixed (iovec* pointer = buffers)
        {
            return SyscallResult.FromReturnValue(LibC.readv(fd, pointer, buffers.Length));
        }
    }

    protected internal virtual unsafe SyscallResult WritevOnce(int fd, ReadOnlySpan<iovec> buffers)
    {
        fixed (iovec* pointer = buffers)
        {
            return SyscallResult.FromReturnValue(LibC.writev(fd, pointer, buffers.Length));
        }
    }

    protected internal virtual SyscallResult CloseOnce(int fd) =>
        SyscallResult.FromReturnValue(LibC.close(fd));

    protected internal virtual unsafe SyscallResult Pipe2Once(out int read, out int write, int flags)
    {
        int* descriptors = stackalloc int[2] { -1, -1 };
        int result = LibC.pipe2(descriptors, flags);
        read = descriptors[0];
        write = descriptors[1];
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual SyscallResult OpenOnce(string path, int flags, uint mode) =>
        SyscallResult.FromReturnValue(LibC.open(path, flags, mode));

    protected internal virtual SyscallResult MkFifoOnce(string path, uint mode) =>
        SyscallResult.FromReturnValue(LibC.mkfifo(path, mode));

    protected internal virtual SyscallResult ChmodOnce(string path, uint mode) =>
        SyscallResult.FromReturnValue(LibC.chmod(path, mode));

    protected internal virtual SyscallResult FchmodOnce(int fd, uint mode) =>
        SyscallResult.FromReturnValue(LibC.fchmod(fd, mode));

    protected internal virtual SyscallResult GetFlagsOnce(int fd) =>
        SyscallResult.FromReturnValue(LibC.fcntl(fd, LibC.F_GETFL, 0));

    protected internal virtual SyscallResult SetFlagsOnce(int fd, int flags) =>
        SyscallResult.FromReturnValue(LibC.fcntl(fd, LibC.F_SETFL, flags));

    protected internal virtual SyscallResult GetPipeSizeOnce(int fd) =>
        SyscallResult.FromReturnValue(LibC.fcntl(fd, LibC.F_GETPIPE_SZ, 0));

    protected internal virtual SyscallResult DuplicateOnce(int fd) =>
        SyscallResult.FromReturnValue(LibC.fcntl(fd, LibC.F_DUPFD_CLOEXEC, 0));

    protected internal virtual SyscallResult IdentifyOnce(string path, out FileIdentity identity) =>
        Identify(LibC.AT_FDCWD, path, LibC.AT_SYMLINK_NOFOLLOW, out identity);

    protected internal virtual SyscallResult IdentifyDescriptorOnce(int fd, out FileIdentity identity) =>
        Identify(fd, "", LibC.AT_EMPTY_PATH, out identity);

    private static unsafe SyscallResult Identify(int directory, string path, int flags, out FileIdentity identity)
    {
        statx status = default;
        SyscallResult result = SyscallResult.FromReturnValue(
            LibC.statx(directory, path, flags, LibC.STATX_TYPE | LibC.STATX_INO, &status));
        identity = result.IsSuccess
            ? new FileIdentity(status.stx_dev_major, status.stx_dev_minor, status.stx_ino, status.stx_mode & LibC.S_IFMT)
            : default;
        return result;
    }

    protected internal virtual unsafe SyscallResult StatusOnce(int directory, string path, int flags, out FileStatus status)
    {
        statx told = default;
        SyscallResult result = SyscallResult.FromReturnValue(
            LibC.statx(directory, path, flags, LibC.STATX_TYPE | LibC.STATX_INO, &told));
        status = result.IsSuccess
            ? new FileStatus(
                new FileIdentity(told.stx_dev_major, told.stx_dev_minor, told.stx_ino, told.stx_mode & LibC.S_IFMT),
                told.stx_rdev_major,
                told.stx_rdev_minor)
            : default;
        return result;
    }

    protected internal virtual unsafe SyscallResult PollOnce(int fd, short events, out short revents)
    {
        pollfd asked = new() { fd = fd, events = events };
        SyscallResult result = SyscallResult.FromReturnValue(LibC.poll(&asked, 1, 0));
        revents = asked.revents;
        return result;
    }

    protected internal virtual unsafe SyscallResult GetTerminalModeOnce(int fd, out bool returnsNothing)
    {
        termios mode = default;
        SyscallResult result = SyscallResult.FromReturnValue(LibC.tcgetattr(fd, &mode));
        returnsNothing = result.IsSuccess && (mode.c_lflag & LibC.ICANON) == 0 && mode.c_cc[LibC.VMIN] == 0;
        return result;
    }

    protected internal virtual unsafe SyscallResult GetTerminalNumberOnce(int master, out int number)
    {
        int told = 0;
        SyscallResult result = SyscallResult.FromReturnValue(LibC.ioctl(master, LibC.TIOCGPTN, &told));
        number = told;
        return result;
    }

    protected internal virtual unsafe SyscallResult UnlockTerminalOnce(int master)
    {
        int locked = 0;
        return SyscallResult.FromReturnValue(LibC.ioctl(master, LibC.TIOCSPTLCK, &locked));
    }

    protected internal virtual SyscallResult TeeOnce(int from, int to, int count) =>
        SyscallResult.FromReturnValue(LibC.tee(from, to, (nuint)count, LibC.SPLICE_F_NONBLOCK));

    protected internal virtual SyscallResult SetFdFlagsOnce(int fd, int flags) =>
        SyscallResult.FromReturnValue(LibC.fcntl(fd, LibC.F_SETFD, flags));

    protected internal virtual unsafe SyscallResult TunSetIffOnce(int fd, string name, short flags, out string actualName)
    {
        actualName = "";
        ifreq request = default;
        Span<byte> nameBytes = new(request.ifr_name, LibC.IFNAMSIZ);

        // One byte less than there is: the kernel wants the terminating zero that default put there.
        if (!Encoding.UTF8.TryGetBytes(name, nameBytes[..^1], out _))
        {
            return SyscallResult.Failure(Errno.EINVAL);
        }

        request.ifr_flags = flags;
        SyscallResult result = SyscallResult.FromReturnValue(LibC.ioctl(fd, LibC.TUNSETIFF, &request));
        if (result.IsSuccess)
        {
            actualName = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(request.ifr_name));
        }

        return result;
    }
}
