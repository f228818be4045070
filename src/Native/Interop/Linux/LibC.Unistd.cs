using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

// unistd.h
internal static unsafe partial class LibC
{
    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint read(int fd, byte* buf, nuint count);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint write(int fd, byte* buf, nuint count);

    /// <summary>Cannot fail.</summary>
    [LibraryImport(Library, SetLastError = true)]
    internal static partial uint geteuid();

    /// <summary>Six register-wide arguments: what every call has that is made by number here.</summary>
    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint syscall(nint number, nint a1, nint a2, nint a3, nint a4, nint a5, nint a6);
}
