using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native;

// How files come into being. The overloads that take a runtime are for tests and for files that share a transport's workers.
public sealed partial class NetpollFile
{
    private const string TunDevice = "/dev/net/tun";

    /// <summary>Opens an existing file without ever blocking: a FIFO opens at once, whether or not its other end is open.</summary>
    /// <param name="path">The path.</param>
    /// <param name="access">Read, write or both.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    /// <exception cref="IOException">The kernel refuses; a FIFO opened for writing only needs a reader first.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static NetpollFile Open(string path, FileAccess access) => Open(path, access, NetpollRuntime.Shared);

    /// <summary>
    /// Takes over an open descriptor, of whatever kind. It is made non-blocking, which affects every descriptor that shares the
    /// open file description, unless the kernel cannot poll it.
    /// </summary>
    /// <param name="handle">The handle. Owned by the new file from here on and unusable afterwards, also when the kernel refuses.</param>
    /// <exception cref="ArgumentException">The handle is closed or invalid; it stays as it was.</exception>
    /// <exception cref="IOException">The kernel refuses to poll the descriptor.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static NetpollFile FromHandle(SafeFileHandle handle)
    {
        ThrowUnlessUsable(handle);
        try
        {
            return FromHandle(handle, NetpollRuntime.Shared);
        }
        catch
        {
            // Not taken over yet if there is no runtime to be had; otherwise this does nothing.
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Creates a FIFO in the file system. Open its ends with <see cref="Open(string, FileAccess)"/>, the reading end first.</summary>
    /// <param name="path">Where.</param>
    /// <param name="mode">Its permissions, less the process's umask.</param>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    /// <exception cref="IOException">The kernel refuses, for instance because the path exists.</exception>
    public static void CreateFifo(string path, UnixFileMode mode)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SyscallResult result = SystemCalls.Instance.MkFifo(path, (uint)mode);
        if (result.IsError)
        {
            throw ToException(result.Errno, "mkfifo", path);
        }
    }

    /// <summary>Creates an anonymous pipe.</summary>
    /// <param name="read">The end to read from.</param>
    /// <param name="write">The end to write to.</param>
    /// <exception cref="IOException">The kernel refuses, for instance because too many files are open.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static void CreatePipe(out NetpollFile read, out NetpollFile write) => CreatePipe(out read, out write, NetpollRuntime.Shared);

    /// <summary>
    /// Creates, or attaches to, a tun or tap interface; each read yields one packet, each write sends one. The interface goes away
    /// with the file unless it was made persistent.
    /// </summary>
    /// <param name="name">The interface's name, at most 15 bytes. Empty, or with <c>%d</c> in it, lets the kernel number it: see <see cref="Name"/>.</param>
    /// <param name="tap">True for Ethernet frames (tap), false for IP packets (tun). There is no packet information header.</param>
    /// <exception cref="UnauthorizedAccessException">The process lacks CAP_NET_ADMIN, or may not open the device.</exception>
    /// <exception cref="IOException">There is no tun device here, the name does not fit, or the interface is in use.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static NetpollFile OpenTun(string name, bool tap) => OpenTun(name, tap, NetpollRuntime.Shared);

    internal static NetpollFile Open(string path, FileAccess access, NetpollRuntime runtime)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new NetpollFile(FileDescriptor.Adopt(OpenNonBlocking(path, access, runtime), path, access, runtime));
    }

    internal static NetpollFile FromHandle(SafeFileHandle handle, NetpollRuntime runtime)
    {
        ThrowUnlessUsable(handle);
        int fd = (int)handle.DangerousGetHandle();
        handle.SetHandleAsInvalid();

        string name = $"descriptor {fd}";
        SyscallResult flags = runtime.SystemCalls.GetFlags(fd);
        if (flags.IsError)
        {
            runtime.SystemCalls.Close(fd);
            throw ToException(flags.Errno, "fcntl", name);
        }

        FileAccess access = (flags.Value & LibC.O_ACCMODE) switch
        {
            LibC.O_RDONLY => FileAccess.Read,
            LibC.O_WRONLY => FileAccess.Write,
            _ => FileAccess.ReadWrite,
        };
        return new NetpollFile(FileDescriptor.Adopt(fd, name, access, runtime));
    }

    internal static void CreatePipe(out NetpollFile read, out NetpollFile write, NetpollRuntime runtime)
    {
        SyscallResult result = runtime.SystemCalls.Pipe2(out int readFd, out int writeFd, LibC.O_NONBLOCK | LibC.O_CLOEXEC);
        if (result.IsError)
        {
            throw ToException(result.Errno, "pipe2", path: null);
        }

        FileDescriptor reader;
        try
        {
            reader = FileDescriptor.Adopt(readFd, "pipe", FileAccess.Read, runtime);
        }
        catch
        {
            runtime.SystemCalls.Close(writeFd);
            throw;
        }

        try
        {
            write = new NetpollFile(FileDescriptor.Adopt(writeFd, "pipe", FileAccess.Write, runtime));
            read = new NetpollFile(reader);
        }
        catch
        {
            reader.Close();
            throw;
        }
    }

    internal static NetpollFile OpenTun(string name, bool tap, NetpollRuntime runtime)
    {
        ArgumentNullException.ThrowIfNull(name);
        int fd = OpenNonBlocking(TunDevice, FileAccess.ReadWrite, runtime);

        // Before registering: a device registered without an interface reports one error and then nothing, for good.
        short flags = (short)((tap ? LibC.IFF_TAP : LibC.IFF_TUN) | LibC.IFF_NO_PI);
        SyscallResult attached = runtime.SystemCalls.TunSetIff(fd, name, flags, out string actualName);
        if (attached.IsError)
        {
            runtime.SystemCalls.Close(fd);
            throw attached.Errno == Errno.EPERM
                ? new UnauthorizedAccessException($"Interface '{name}': attaching to a tun or tap interface needs CAP_NET_ADMIN.")
                : ToException(attached.Errno, "TUNSETIFF", name);
        }

        return new NetpollFile(FileDescriptor.Adopt(fd, actualName, FileAccess.ReadWrite, runtime));
    }

    private static void ThrowUnlessUsable(SafeFileHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        if (handle.IsInvalid || handle.IsClosed)
        {
            throw new ArgumentException("The handle is closed or invalid.", nameof(handle));
        }
    }

    private static int OpenNonBlocking(string path, FileAccess access, NetpollRuntime runtime)
    {
        int mode = access switch
        {
            FileAccess.Read => LibC.O_RDONLY,
            FileAccess.Write => LibC.O_WRONLY,
            FileAccess.ReadWrite => LibC.O_RDWR,
            _ => throw new ArgumentOutOfRangeException(nameof(access), access, "Use Read, Write or ReadWrite."),
        };

        // NOCTTY: opening a terminal must not make it this process's controlling terminal.
        const int Flags = LibC.O_NONBLOCK | LibC.O_CLOEXEC | LibC.O_NOCTTY;
        SyscallResult opened = runtime.SystemCalls.Open(path, mode | Flags, mode: 0);
        if (opened.IsError)
        {
            throw ToException(opened.Errno, "open", path);
        }

        return opened.Value;
    }

    private static Exception ToException(Errno error, string operation, string? path) => error switch
    {
        Errno.EACCES or Errno.EPERM => new UnauthorizedAccessException($"{operation} '{path}': permission denied."),
        Errno.ENXIO when operation == "open" => new IOException(
            $"open '{path}': nobody is at the other end (ENXIO). Open a FIFO's reading end first, or open it with FileAccess.ReadWrite.",
            (int)error),
        _ => SystemErrors.ToIOException(error, operation, path),
    };
}
