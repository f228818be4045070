using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>The argument of an interface ioctl: a name, then a union of which we use the flags.</summary>
[StructLayout(LayoutKind.Sequential, Size = 40)]
internal unsafe struct ifreq
{
    internal fixed byte ifr_name[LibC.IFNAMSIZ];
    internal short ifr_flags;
}

// sys/ioctl.h, net/if.h, linux/if_tun.h
internal static unsafe partial class LibC
{
    /// <summary>Bytes of an interface name with its terminating zero.</summary>
    internal const int IFNAMSIZ = 16;

    internal const uint TUNSETIFF = 0x400454ca;
    internal const short IFF_TUN = 0x1;
    internal const short IFF_TAP = 0x2;
    internal const short IFF_NO_PI = 0x1000;

    // Of pseudo-terminals.
    internal const uint TIOCSPTLCK = 0x40045431;
    internal const uint TIOCGPTN = 0x80045430;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int ioctl(int fd, nuint request, void* argument);
}
