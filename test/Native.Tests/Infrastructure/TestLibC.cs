using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>What only tests need of the C library.</summary>
internal static unsafe partial class TestLibC
{
    internal const int CLONE_NEWNET = 0x40000000;

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
    internal static partial int usleep(uint microseconds);
}
