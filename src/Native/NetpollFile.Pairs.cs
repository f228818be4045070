using System.Globalization;
using KestrelNetpoll.Native.Files;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native;

// What comes with two ends.
public sealed partial class NetpollFile
{
    private const string TerminalMultiplexer = "/dev/ptmx";

    /// <summary>Creates an anonymous pipe.</summary>
    /// <param name="read">The end to read from.</param>
    /// <param name="write">The end to write to.</param>
    /// <exception cref="IOException">The kernel refuses, for instance because too many files are open.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static void CreatePipe(out NetpollFile read, out NetpollFile write) => CreatePipe(out read, out write, NetpollRuntime.Shared);

    /// <summary>Creates an anonymous pipe from a child process that is about to be started.</summary>
    /// <remarks>
    /// The child's end is blocking, as programs expect, and is inherited by every process that is started while it is open: tell the child
    /// its number, and dispose of it as soon as the child runs, or the pipe never ends.
    /// </remarks>
    /// <param name="read">The end to read from: this process's alone.</param>
    /// <param name="childWrite">The end for the child to write to.</param>
    /// <inheritdoc cref="CreatePipe(out NetpollFile, out NetpollFile)" path="/exception"/>
    public static void CreatePipeFromChild(out NetpollFile read, out SafeFileHandle childWrite) =>
        read = CreatePipeWithChild(FileAccess.Read, out childWrite);

    /// <summary>Creates an anonymous pipe to a child process that is about to be started.</summary>
    /// <inheritdoc cref="CreatePipeFromChild" path="/remarks"/>
    /// <param name="childRead">The end for the child to read from.</param>
    /// <param name="write">The end to write to: this process's alone.</param>
    /// <inheritdoc cref="CreatePipe(out NetpollFile, out NetpollFile)" path="/exception"/>
    public static void CreatePipeToChild(out SafeFileHandle childRead, out NetpollFile write) =>
        write = CreatePipeWithChild(FileAccess.Write, out childRead);

    /// <summary>
    /// Creates a pseudo-terminal: what is written to one side is typed at, or shown by, the other. Its size and its modes are set through
    /// <see cref="SafeHandle"/>.
    /// </summary>
    /// <param name="master">The side of the program that plays the terminal's user.</param>
    /// <param name="terminal">
    /// The terminal. Its <see cref="Name"/> is its path, under which a child process opens it. While it is open, reads of the master wait
    /// when no other process has it open; otherwise they fail with EIO.
    /// </param>
    /// <exception cref="IOException">The kernel refuses, for instance because there are too many terminals.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    public static void OpenPseudoTerminal(out NetpollFile master, out NetpollFile terminal)
    {
        NetpollFile opened = Open(TerminalMultiplexer, FileAccess.ReadWrite);
        try
        {
            int fd = opened._file.Fd;
            SyscallResult unlocked = opened._file.SystemCalls.UnlockTerminal(fd);
            int number = -1;
            SyscallResult told = unlocked.IsError ? unlocked : opened._file.SystemCalls.GetTerminalNumber(fd, out number);
            if (told.IsError)
            {
                throw ToException(told.Errno, "ioctl", TerminalMultiplexer);
            }

            terminal = Open($"/dev/pts/{number.ToString(CultureInfo.InvariantCulture)}", FileAccess.ReadWrite);
            master = opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    internal static void CreatePipe(out NetpollFile read, out NetpollFile write, NetpollRuntime runtime)
    {
        NewPipe(runtime.SystemCalls, LibC.O_NONBLOCK, out int readFd, out int writeFd);
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

    private static NetpollFile CreatePipeWithChild(FileAccess access, out SafeFileHandle childsEnd)
    {
        NetpollRuntime runtime = NetpollRuntime.Shared;
        SystemCalls systemCalls = runtime.SystemCalls;
        NewPipe(systemCalls, flags: 0, out int readFd, out int writeFd);
        (int ours, int childs) = access == FileAccess.Read ? (readFd, writeFd) : (writeFd, readFd);
        childsEnd = new SafeFileHandle(childs, ownsHandle: true);
        SyscallResult set = systemCalls.SetFdFlags(childs, 0);
        if (set.IsSuccess)
        {
            // Each end is an open file of its own: the flag is not the child's.
            set = systemCalls.SetFlags(ours, (access == FileAccess.Read ? LibC.O_RDONLY : LibC.O_WRONLY) | LibC.O_NONBLOCK);
        }

        try
        {
            if (set.IsError)
            {
                systemCalls.Close(ours);
                throw ToException(set.Errno, "fcntl", path: null);
            }

            return new NetpollFile(FileDescriptor.Adopt(ours, "pipe", access, runtime));
        }
        catch
        {
            childsEnd.Dispose();
            throw;
        }
    }

    private static void NewPipe(SystemCalls systemCalls, int flags, out int read, out int write)
    {
        SyscallResult result = systemCalls.Pipe2(out read, out write, flags | LibC.O_CLOEXEC);
        if (result.IsError)
        {
            throw ToException(result.Errno, "pipe2", path: null);
        }
    }
}
