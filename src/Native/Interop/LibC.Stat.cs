using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

// sys/stat.h
internal static unsafe partial class LibC
{
    internal const int S_IFMT = 0xF000;
    internal const int S_IFIFO = 0x1000;
    internal const int S_IFCHR = 0x2000;
    internal const int S_IFDIR = 0x4000;
    internal const int S_IFBLK = 0x6000;
    internal const int S_IFREG = 0x8000;
    internal const int S_IFSOCK = 0xC000;
    internal const uint STATX_TYPE = 0x1;
    internal const uint STATX_INO = 0x100;

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mkfifo(string pathname, uint mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int chmod(string pathname, uint mode);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int fchmod(int fd, uint mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statx(int dirfd, string pathname, int flags, uint mask, statx* statxbuf);
}

/// <summary>What statx tells about a file, as far as it is used here. Unlike stat's struct it is the same on every architecture.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct statx
{
    [FieldOffset(0)]
    internal uint stx_mask;

    [FieldOffset(28)]
    internal ushort stx_mode;

    [FieldOffset(32)]
    internal ulong stx_ino;

    [FieldOffset(128)]
    internal uint stx_rdev_major;

    [FieldOffset(132)]
    internal uint stx_rdev_minor;

    [FieldOffset(136)]
    internal uint stx_dev_major;

    [FieldOffset(140)]
    internal uint stx_dev_minor;
}
