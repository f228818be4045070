using System.Text;
using KestrelNetpoll.Native.Files;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native;

// How files come into being. The overloads that take a runtime are for tests and for files that share a transport's workers.
public sealed partial class NetpollFile
{
    private const string TunDevice = "/dev/net/tun";

    /// <summary>
    /// Opens an existing file. A FIFO opens at once: for reading, whether or not anybody writes to it; for writing, only if somebody has it
    /// open for reading. <see cref="OpenAsync(string, FileAccess, DateTimeOffset?, CancellationToken)"/> waits for the other end.
    /// </summary>
    /// <remarks>
    /// It blocks only as <see cref="File.OpenHandle"/> does, too: while the file system is slow, or while somebody holds a lease on a
    /// regular file. Opened for both, a FIFO talks to itself: what nobody has read when it is closed is lost, and it never hears that its
    /// reader has gone.
    /// </remarks>
    /// <param name="path">The path.</param>
    /// <param name="access">Read, write or both.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    /// <exception cref="ArgumentException">The path is empty, or has a zero character in it.</exception>
    /// <exception cref="PathTooLongException">The path is too long.</exception>
    /// <exception cref="IOException">The kernel refuses; a FIFO opened for writing only needs a reader first.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static NetpollFile Open(string path, FileAccess access) => Open(path, access, NetpollRuntime.Shared);

    /// <summary>Takes over an open descriptor, of whatever kind.</summary>
    /// <remarks>
    /// <para>The contract is that of <see cref="FileStream(SafeFileHandle, FileAccess)"/>: the handle is disposed of with the file, and
    /// closes its descriptor if it owns it, once nobody else holds a reference on it. With <c>ownsHandle: false</c> the descriptor stays
    /// open, and must stay open for as long as the file is.</para>
    /// <para>Whether a descriptor is non-blocking (O_NONBLOCK) is a property of the open file, which others may share: stdin, stdout and
    /// stderr are usually one open file, which the shell and every child process share, too. Therefore a pipe, a FIFO or a terminal that is
    /// blocking is opened once more, through <c>/proc/self/fd</c>, and what was given stays as it is. Where that cannot be (sockets,
    /// eventfds and their like; no permission; no <c>/proc</c>; a pipe in packet mode), the open file itself is made non-blocking, and
    /// blocking again when the file is closed or the process exits. Meanwhile its signal (F_SETSIG) is SIGIO, unless somebody has chosen
    /// another one, as a mark for other files over it. A process that is killed leaves both. What cannot be polled is not touched, and what
    /// was non-blocking already stays so.</para>
    /// </remarks>
    /// <param name="handle">The handle. It is disposed of with the file, and also when the kernel refuses.</param>
    /// <exception cref="ArgumentException">
    /// The handle is closed or invalid; it stays as it was. Or its descriptor belongs to another <see cref="NetpollFile"/>, which keeps it:
    /// the handle is made invalid without closing it, unless it is that file's <see cref="SafeHandle"/>.
    /// </exception>
    /// <exception cref="IOException">The kernel refuses to poll the descriptor.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64; the handle stays as it was.</exception>
    public static NetpollFile FromHandle(SafeFileHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        return FromHandle(handle, NetpollRuntime.Shared);
    }

    /// <summary>Creates a FIFO in the file system. Open its ends with <see cref="Open(string, FileAccess)"/>, the reading end first, or
    /// with <see cref="OpenAsync(string, FileAccess, DateTimeOffset?, CancellationToken)"/> in any order.</summary>
    /// <param name="path">Where.</param>
    /// <param name="mode">Its permissions, less the process's umask.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    /// <exception cref="ArgumentException">The path is empty, or has a zero character in it.</exception>
    /// <exception cref="IOException">The kernel refuses, for instance because the path exists.</exception>
    public static void CreateFifo(string path, UnixFileMode mode)
    {
        ThrowUnlessPath(path);
        SyscallResult result = SystemCalls.Instance.MkFifo(path, (uint)mode);
        if (result.IsError)
        {
            throw ToException(result.Errno, "mkfifo", path);
        }
    }

    /// <summary>
    /// Creates, or attaches to, a tun or tap interface; each read yields one packet, each write sends one. The interface goes away
    /// with the file unless it was made persistent.
    /// </summary>
    /// <param name="name">The interface's name, at most 15 bytes. Empty, or with <c>%d</c> in it, lets the kernel number it: see
    /// <see cref="Name"/>.</param>
    /// <param name="tap">True for Ethernet frames (tap), false for IP packets (tun). There is no packet information header.</param>
    /// <exception cref="UnauthorizedAccessException">The process lacks CAP_NET_ADMIN, or may not open the device.</exception>
    /// <exception cref="ArgumentException">No interface can have that name.</exception>
    /// <exception cref="IOException">There is no tun device here, or the interface is in use, or of another kind.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static NetpollFile OpenTun(string name, bool tap) => OpenTun(name, tap, NetpollRuntime.Shared);

    internal static NetpollFile Open(string path, FileAccess access, NetpollRuntime runtime)
    {
        ThrowUnlessPath(path);
        SyscallResult opened = TryOpen(path, ToOpenMode(access), runtime);
        if (opened.WouldBlock && TypeOf(path, runtime) == LibC.S_IFREG)
        {
            // Somebody holds a lease on it, and has been told by now. The kernel waits until he has given it up, or until his time is up.
            opened = runtime.SystemCalls.Open(path, ToOpenMode(access) | LibC.O_CLOEXEC | LibC.O_NOCTTY, mode: 0);
        }

        return opened.IsError
            ? throw OpenException(opened.Errno, path, runtime)
            : new NetpollFile(FileDescriptor.Adopt(opened.Value, path, access, runtime));
    }

    internal static NetpollFile FromHandle(SafeFileHandle handle, NetpollRuntime runtime)
    {
        ArgumentNullException.ThrowIfNull(handle);
        bool added = false;
        if (!handle.IsInvalid && !handle.IsClosed)
        {
            try
            {
                handle.DangerousAddRef(ref added);
            }
            catch (ObjectDisposedException)
            {
                // Closed at this moment.
            }
        }

        if (!added)
        {
            throw new ArgumentException("The handle is closed or invalid.", nameof(handle));
        }

        int fd = (int)handle.DangerousGetHandle();
        if (!FileNumbers.Process.TryAdd(runtime.SystemCalls, fd, handle))
        {
            Refuse(handle, fd, runtime);
        }

        return new NetpollFile(FileDescriptor.Take(handle, $"descriptor {fd}", runtime));
    }

    internal static NetpollFile OpenTun(string name, bool tap, NetpollRuntime runtime)
    {
        ThrowUnlessInterfaceName(name);
        SyscallResult opened = TryOpen(TunDevice, LibC.O_RDWR, runtime);
        if (opened.IsError)
        {
            throw OpenException(opened.Errno, TunDevice, runtime);
        }

        // Before registering: a device registered without an interface reports one error and then nothing, for good.
        int fd = opened.Value;
        short flags = (short)((tap ? LibC.IFF_TAP : LibC.IFF_TUN) | LibC.IFF_NO_PI);
        SyscallResult attached = runtime.SystemCalls.TunSetIff(fd, name, flags, out string actualName);
        if (attached.IsError)
        {
            runtime.SystemCalls.Close(fd);
            throw TunException(attached.Errno, name, tap);
        }

        return new NetpollFile(FileDescriptor.Adopt(fd, actualName, FileAccess.ReadWrite, runtime));
    }

    // The number is another file's. A second handle that thinks it owns it would close it sooner or later, so it may not.
    private static void Refuse(SafeFileHandle handle, int fd, NetpollRuntime runtime)
    {
        bool isTheFilesOwn = FileNumbers.Process.IsOwn(runtime.SystemCalls, fd, handle);
        handle.DangerousRelease();
        if (!isTheFilesOwn)
        {
            handle.SetHandleAsInvalid();
        }

        throw new ArgumentException($"Descriptor {fd} belongs to another NetpollFile, which keeps it.", nameof(handle));
    }

    private static void ThrowUnlessPath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path.Contains('\0'))
        {
            throw new ArgumentException("The path has a zero character in it.", nameof(path));
        }
    }

    // As the kernel has it, which says no more than "Invalid argument". The name that it makes of "%d" is its own business.
    private static void ThrowUnlessInterfaceName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        bool isAName = Encoding.UTF8.GetByteCount(name) < LibC.IFNAMSIZ
            && name is not ("." or "..")
            && !name.Any(static c => c is '/' or ':' or '\0' || char.IsWhiteSpace(c));
        if (!isAName)
        {
            throw new ArgumentException(
                $"'{name}' cannot be the name of an interface: at most {LibC.IFNAMSIZ - 1} bytes, "
                + "without '/', ':', white space or zero characters, "
                + "and neither '.' nor '..'.",
                nameof(name));
        }
    }

    private static int ToOpenMode(FileAccess access) => access switch
    {
        FileAccess.Read => LibC.O_RDONLY,
        FileAccess.Write => LibC.O_WRONLY,
        FileAccess.ReadWrite => LibC.O_RDWR,
        _ => throw new ArgumentOutOfRangeException(nameof(access), access, "Use Read, Write or ReadWrite."),
    };

    private static SyscallResult TryOpen(string path, int mode, NetpollRuntime runtime)
    {
        // NOCTTY: opening a terminal must not make it this process's controlling terminal.
        return runtime.SystemCalls.Open(path, mode | LibC.O_NONBLOCK | LibC.O_NOCTTY, mode: 0);
    }

    // S_IFREG and so on; 0 when the kernel does not tell.
    private static int TypeOf(string path, NetpollRuntime runtime) =>
        runtime.SystemCalls.GetStatus(path, out FileStatus status).IsSuccess ? status.Type : 0;

    private static Exception OpenException(Errno error, string path, NetpollRuntime runtime) => (error, TypeOf(path, runtime)) switch
    {
        (Errno.ENXIO, LibC.S_IFIFO) => new IOException(
            $"open '{path}': nobody has the FIFO open for reading (ENXIO). Open its reading end first, or use OpenAsync, "
                + "which waits for it.",
            (int)error),
        (Errno.ENXIO, LibC.S_IFSOCK) => new IOException(
            $"open '{path}': it is a Unix socket (ENXIO), which is connected to and not opened.", (int)error),
        _ => ToException(error, "open", path),
    };

    private static Exception TunException(Errno error, string name, bool tap) => error switch
    {
        Errno.EPERM => new UnauthorizedAccessException($"Interface '{name}': attaching to a tun or tap interface needs CAP_NET_ADMIN."),
        Errno.EINVAL => new IOException(
            $"Interface '{name}': there is one of that name, and it is not a {(tap ? "tap" : "tun")} interface "
                + "that can be attached to (EINVAL).",
            (int)error),
        Errno.EBUSY => new IOException($"Interface '{name}' is in use: another descriptor is attached to it (EBUSY).", (int)error),
        _ => ToException(error, "TUNSETIFF", name),
    };

    private static Exception ToException(Errno error, string operation, string? path) => error switch
    {
        Errno.EACCES or Errno.EPERM => new UnauthorizedAccessException($"{operation} '{path}': permission denied."),
        Errno.ENOENT when Path.GetDirectoryName(path) is { Length: > 0 } directory && !Directory.Exists(directory) =>
            new DirectoryNotFoundException($"{operation} '{path}': there is no directory '{directory}' (ENOENT)."),
        _ => SystemErrors.ToIOException(error, operation, path),
    };
}
