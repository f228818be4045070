using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>A span of time for the system calls: both fields are 64 bits wide wherever we run, as the kernel's own struct is.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct timespec
{
    internal long tv_sec;
    internal long tv_nsec;

    internal static timespec FromNanoseconds(long nanoseconds)
    {
        (long seconds, long rest) = Math.DivRem(nanoseconds, 1_000_000_000);
        return new timespec { tv_sec = seconds, tv_nsec = rest };
    }
}

internal static unsafe partial class LibC
{
    // A clock of a thread: its id, complemented, above three bits that say "of a thread" (4) and "time on a processor" (2). The kernel's
    // interface, which pthread_getcpuclockid(3) uses as well.
    internal static int CpuClockOfThread(int threadId) => (~threadId << 3) | 6;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int clock_gettime(int clockid, timespec* tp);
}
