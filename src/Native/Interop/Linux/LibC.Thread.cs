using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

// linux/futex.h, sys/prctl.h, and the numbers of calls that have no function in every C library
internal static unsafe partial class LibC
{
    internal const int FUTEX_WAIT_PRIVATE = 128;
    internal const int FUTEX_WAKE_PRIVATE = 129;
    internal const int PR_SET_TIMERSLACK = 29;

    internal static nint SYS_futex => FutexOn(RuntimeInformation.ProcessArchitecture);

    internal static nint SYS_gettid => GetTidOn(RuntimeInformation.ProcessArchitecture);

    /// <summary>Not a constant: the architectures number it differently.</summary>
    internal static nint FutexOn(Architecture architecture) => architecture == Architecture.X64 ? 202 : 98;

    /// <inheritdoc cref="FutexOn"/>
    internal static nint GetTidOn(Architecture architecture) => architecture == Architecture.X64 ? 186 : 178;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int prctl(int option, nuint a2, nuint a3, nuint a4, nuint a5);
}
