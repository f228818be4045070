using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>sys/resource.h. Both fields are 64 bits wide on 64-bit systems, glibc and musl.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct rlimit
{
    internal ulong rlim_cur;
    internal ulong rlim_max;
}

internal static unsafe partial class LibC
{
    internal const int RLIMIT_NPROC = 6;
    internal const int RLIMIT_NOFILE = 7;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int getrlimit(int resource, rlimit* rlim);
}
