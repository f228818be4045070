using TmdsLibC = Tmds.Linux.LibC;

namespace KestrelNetpoll.Native.Interop;

// fcntl.h, and the types of files from sys/stat.h
internal static unsafe partial class LibC
{
    internal const int O_RDONLY = 0;
    internal const int O_WRONLY = 1;
    internal const int O_RDWR = 2;
    internal const int O_NONBLOCK = 0x800;

    internal const int S_IFIFO = 0x1000;
    internal const int S_IFCHR = 0x2000;
    internal const int S_IFDIR = 0x4000;
    internal const int S_IFBLK = 0x6000;
    internal const int S_IFREG = 0x8000;
    internal const int S_IFSOCK = 0xC000;

    internal static int O_ACCMODE => TmdsLibC.O_ACCMODE;

    internal static int O_APPEND => TmdsLibC.O_APPEND;

    internal static int O_CLOEXEC => TmdsLibC.O_CLOEXEC;

    internal static int O_NOCTTY => TmdsLibC.O_NOCTTY;

    internal static int O_PATH => TmdsLibC.O_PATH;

    internal static int AT_FDCWD => TmdsLibC.AT_FDCWD;

    internal static int AT_EMPTY_PATH => TmdsLibC.AT_EMPTY_PATH;

    internal static int FD_CLOEXEC => TmdsLibC.FD_CLOEXEC;

    internal static int SIGIO => TmdsLibC.SIGIO;
}
