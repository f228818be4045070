using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

// linux/futex.h, sys/prctl.h, and the numbers of calls that have no function in every C library
internal static unsafe partial class LibC
{
    internal const int FUTEX_WAIT_PRIVATE = 128;
    internal const int FUTEX_WAKE_PRIVATE = 129;
    internal const int PR_SET_TIMERSLACK = 29;

    /// <summary>Not a constant: the architectures number it differently.</summary>
    internal static nint SYS_futex => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 202 : 98;

    /// <inheritdoc cref="SYS_futex"/>
    internal static nint SYS_gettid => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 186 : 178;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int prctl(int option, nuint a2, nuint a3, nuint a4, nuint a5);
}
