using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;
using TmdsLibC = Tmds.Linux.LibC;

namespace KestrelNetpoll.Native.Interop;

internal partial class SystemCalls
{
    // Of the zero at its end, too. Longer ones go to the heap.
    private const int UsualPathSize = 256;

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
        SyscallResult.FromReturnValue(TmdsLibC.close(fd));

    protected internal virtual unsafe SyscallResult Pipe2Once(out int read, out int write, int flags)
    {
        int* descriptors = stackalloc int[2] { -1, -1 };
        int result = TmdsLibC.pipe2(descriptors, flags);
        read = descriptors[0];
        write = descriptors[1];
        return SyscallResult.FromReturnValue(result);
    }

    protected internal virtual unsafe SyscallResult OpenOnce(string path, int flags, uint mode)
    {
        fixed (byte* pathname = ToC(path, stackalloc byte[UsualPathSize]))
        {
            return SyscallResult.FromReturnValue(TmdsLibC.open(pathname, flags, (ushort)mode));
        }
    }

    protected internal virtual unsafe SyscallResult MkFifoOnce(string path, uint mode)
    {
        fixed (byte* pathname = ToC(path, stackalloc byte[UsualPathSize]))
        {
            return SyscallResult.FromReturnValue(TmdsLibC.mkfifo(pathname, (ushort)mode));
        }
    }

    protected internal virtual unsafe SyscallResult ChmodOnce(string path, uint mode)
    {
        fixed (byte* pathname = ToC(path, stackalloc byte[UsualPathSize]))
        {
            return SyscallResult.FromReturnValue(TmdsLibC.chmod(pathname, (ushort)mode));
        }
    }

    protected internal virtual SyscallResult FchmodOnce(int fd, uint mode) =>
        SyscallResult.FromReturnValue(TmdsLibC.fchmod(fd, (ushort)mode));

    protected internal virtual SyscallResult GetFlagsOnce(int fd) =>
        SyscallResult.FromReturnValue(TmdsLibC.fcntl(fd, TmdsLibC.F_GETFL));

    protected internal virtual SyscallResult SetFlagsOnce(int fd, int flags) =>
        SyscallResult.FromReturnValue(TmdsLibC.fcntl(fd, TmdsLibC.F_SETFL, flags));

    protected internal virtual SyscallResult GetSignalOnce(int fd) =>
        SyscallResult.FromReturnValue(TmdsLibC.fcntl(fd, TmdsLibC.F_GETSIG));

    protected internal virtual SyscallResult SetSignalOnce(int fd, int signal) =>
        SyscallResult.FromReturnValue(TmdsLibC.fcntl(fd, TmdsLibC.F_SETSIG, signal));

    protected internal virtual SyscallResult DuplicateOnce(int fd) =>
        SyscallResult.FromReturnValue(TmdsLibC.fcntl(fd, TmdsLibC.F_DUPFD_CLOEXEC, 0));

    protected internal virtual SyscallResult IdentifyOnce(string path, out FileIdentity identity) =>
        Identify(TmdsLibC.AT_FDCWD, path, TmdsLibC.AT_SYMLINK_NOFOLLOW, out identity);

    protected internal virtual SyscallResult IdentifyDescriptorOnce(int fd, out FileIdentity identity) =>
        Identify(fd, "", TmdsLibC.AT_EMPTY_PATH, out identity);

    protected internal virtual SyscallResult StatusOnce(int directory, string path, int flags, out FileStatus status) =>
        Stat(directory, path, flags, out status);

    private static SyscallResult Identify(int directory, string path, int flags, out FileIdentity identity)
    {
        SyscallResult result = Stat(directory, path, flags, out FileStatus status);
        identity = status.Identity;
        return result;
    }

    private static unsafe SyscallResult Stat(int directory, string path, int flags, out FileStatus status)
    {
        statx told = default;
        SyscallResult result;
        fixed (byte* pathname = ToC(path, stackalloc byte[UsualPathSize]))
        {
            result = SyscallResult.FromReturnValue(
                TmdsLibC.statx(directory, pathname, flags, TmdsLibC.STATX_TYPE | TmdsLibC.STATX_INO, &told));
        }

        int type = told.stx_mode & (ushort)TmdsLibC.S_IFMT;
        status = result.IsSuccess
            ? new FileStatus(
                new FileIdentity(told.stx_dev_major, told.stx_dev_minor, told.stx_ino, type), told.stx_rdev_major, told.stx_rdev_minor)
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

    protected internal virtual unsafe SyscallResult PollAllOnce(Span<pollfd> asked, int timeoutMilliseconds)
    {
        fixed (pollfd* first = asked)
        {
            return SyscallResult.FromReturnValue(LibC.poll(first, (nuint)asked.Length, timeoutMilliseconds));
        }
    }

    protected internal virtual unsafe SyscallResult GetTerminalModeOnce(int fd, out bool returnsNothing)
    {
        termios mode = default;
        SyscallResult result = SyscallResult.FromReturnValue(TmdsLibC.tcgetattr(fd, &mode));
        returnsNothing = result.IsSuccess && (mode.c_lflag & TmdsLibC.ICANON) == 0 && mode.c_cc[TmdsLibC.VMIN] == 0;
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
        SyscallResult.FromReturnValue((nint)(long)TmdsLibC.tee(from, to, count, (uint)TmdsLibC.SPLICE_F_NONBLOCK));

    protected internal virtual SyscallResult SetFdFlagsOnce(int fd, int flags) =>
        SyscallResult.FromReturnValue(TmdsLibC.fcntl(fd, TmdsLibC.F_SETFD, flags));

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

    /// <summary>A path in UTF-8 with a zero behind it, in the caller's memory if it fits there.</summary>
    private static ReadOnlySpan<byte> ToC(string path, Span<byte> memory)
    {
        int length = Encoding.UTF8.GetByteCount(path);
        Span<byte> bytes = length < memory.Length ? memory : new byte[length + 1];
        Encoding.UTF8.GetBytes(path, bytes);
        bytes[length] = 0;
        return bytes;
    }
}
