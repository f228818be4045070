using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>What only tests need of the C library.</summary>
internal static unsafe partial class TestLibC
{
    internal const int CLONE_NEWNET = 0x40000000;
    internal const int EPOLL_CTL_MOD = 3;
    internal const int F_GETPIPE_SZ = 1032;
    internal const int F_SETPIPE_SZ = 1031;
    internal const int MSG_PEEK = 2;
    internal const int O_CREAT = 0x40;
    internal const int O_EXCL = 0x80;

    internal const uint SIOCSIFADDR = 0x8916;
    internal const uint SIOCSIFNETMASK = 0x891c;
    internal const uint SIOCGIFFLAGS = 0x8913;
    internal const uint SIOCSIFFLAGS = 0x8914;
    internal const short IFF_UP = 1;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int unshare(int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ioctl(int fd, nuint request, void* argument);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fcntl(int fd, int cmd, nint arg);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int usleep(uint microseconds);
}
