using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

// termios.h, and the requests of pseudo-terminals from sys/ioctl.h
internal static unsafe partial class LibC
{
    internal const uint ICANON = 2;
    internal const int VTIME = 5;
    internal const int VMIN = 6;
    internal const uint TIOCSPTLCK = 0x40045431;
    internal const uint TIOCGPTN = 0x80045430;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int tcgetattr(int fd, termios* termios_p);
}

/// <summary>What tcgetattr tells about a terminal, as far as it is used here. glibc's and musl's agree.</summary>
[StructLayout(LayoutKind.Explicit, Size = 60)]
internal unsafe struct termios
{
    [FieldOffset(12)]
    internal uint c_lflag;

    [FieldOffset(17)]
    internal fixed byte c_cc[32];
}
