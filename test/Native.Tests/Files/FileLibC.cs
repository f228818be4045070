using System.Runtime.InteropServices;
using System.Text;
using KestrelNetpoll.Native.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>System calls that only tests need, in C spelling.</summary>
internal static unsafe partial class FileLibC
{
    internal const int CLOCK_MONOTONIC = 1;
    internal const uint IN_CREATE = 0x100;
    internal const uint TIOCSPTLCK = 0x40045431;
    internal const uint TIOCGPTN = 0x80045430;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int timerfd_create(int clockid, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int timerfd_settime(int fd, int flags, nint* new_value, nint* old_value);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int inotify_init1(int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int inotify_add_watch(int fd, string pathname, uint mask);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int dup(int fd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int dup2(int oldfd, int newfd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint signal(int signum, nint handler);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int unshare(int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mount(string source, string target, string? filesystemtype, nuint mountflags, nint data);

    /// <summary>Gives the calling thread a mount name space of its own, from which nothing gets out. 0, or why not.</summary>
    internal static int UnshareMounts()
    {
        const int NewMounts = 0x20000;
        const int OwnFileSystemState = 0x200;
        const nuint RecursivelyPrivate = 0x4000 | 0x40000;
        return unshare(NewMounts | OwnFileSystemState) != 0 || mount("none", "/", null, RecursivelyPrivate, 0) != 0
            ? Marshal.GetLastPInvokeError()
            : 0;
    }

    internal static void SetWindowSize(SafeFileHandle terminal, short rows, short columns)
    {
        short* size = stackalloc short[4] { rows, columns, 0, 0 };
        Assert.Equal(0, LibC.ioctl((int)terminal.DangerousGetHandle(), 0x5414, size));
    }

    internal static (int Rows, int Columns) GetWindowSize(SafeFileHandle terminal)
    {
        short* size = stackalloc short[4];
        Assert.Equal(0, LibC.ioctl((int)terminal.DangerousGetHandle(), 0x5413, size));
        return (size[0], size[1]);
    }

    /// <summary>Makes a terminal give nothing rather than wait: not canonical, VMIN and VTIME 0.</summary>
    internal static void SetNeverWaits(SafeFileHandle terminal)
    {
        int fd = (int)terminal.DangerousGetHandle();
        const uint Canonical = 2;
        const uint Echo = 8;
        const int Time = 5;
        const int Min = 6;
        TerminalMode mode;
        Assert.Equal(0, tcgetattr(fd, &mode));
        mode.c_lflag &= ~(Canonical | Echo);
        mode.c_cc[Min] = mode.c_cc[Time] = 0;
        Assert.Equal(0, tcsetattr(fd, 0, &mode));
    }

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int tcgetattr(int fd, TerminalMode* mode);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int tcsetattr(int fd, int optional_actions, TerminalMode* mode);

    /// <summary>Arms a timer to go off once.</summary>
    internal static void SetTimer(int fd, TimeSpan delay)
    {
        // An itimerspec: seconds and nanoseconds of the interval, then of the first expiry.
        nint* value = stackalloc nint[4] { 0, 0, (nint)delay.TotalSeconds, (nint)(delay.TotalNanoseconds % 1e9) };
        Assert.Equal(0, timerfd_settime(fd, 0, value, null));
    }

    /// <summary>Unlocks the other side of a pseudo-terminal and returns its path.</summary>
    internal static string UnlockTerminal(int fd)
    {
        int unlock = 0;
        uint number = 0;
        Assert.Equal(0, LibC.ioctl(fd, TIOCSPTLCK, &unlock));
        Assert.Equal(0, LibC.ioctl(fd, TIOCGPTN, &number));
        return $"/dev/pts/{number}";
    }

    internal static SafeFileHandle ToHandle(int fd)
    {
        Assert.True(fd >= 0, Marshal.GetLastPInvokeErrorMessage());
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    internal static SafeFileHandle ToHandle(SyscallResult opened)
    {
        Assert.True(opened.IsSuccess, opened.ToString());
        return new SafeFileHandle(opened.Value, ownsHandle: true);
    }

    /// <summary>The name in an inotify event: it follows 12 bytes and its own length.</summary>
    internal static string NameIn(ReadOnlySpan<byte> inotifyEvent) => Encoding.UTF8.GetString(inotifyEvent[16..].TrimEnd((byte)0));

    [StructLayout(LayoutKind.Explicit, Size = 60)]
    internal struct TerminalMode
    {
        [FieldOffset(12)]
        internal uint c_lflag;

        [FieldOffset(17)]
        internal fixed byte c_cc[32];
    }
}
