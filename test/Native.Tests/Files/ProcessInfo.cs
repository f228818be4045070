using System.Globalization;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>What the kernel says about this process.</summary>
internal static class ProcessInfo
{
    internal static int ThreadCount => Directory.GetDirectories("/proc/self/task").Length;

    /// <summary>What a descriptor number refers to, such as <c>pipe:[4711]</c>; null when it is not open.</summary>
    internal static string? LinkOf(int fd) => new FileInfo($"/proc/self/fd/{fd.ToString(CultureInfo.InvariantCulture)}").LinkTarget;

    internal static bool IsNonBlocking(int fd) => (FlagsOf(fd) & LibC.O_NONBLOCK) != 0;

    internal static bool IsCloseOnExec(int fd) => (FlagsOf(fd) & LibC.O_CLOEXEC) != 0;

    private static int FlagsOf(int fd)
    {
        string flags = File.ReadLines($"/proc/self/fdinfo/{fd.ToString(CultureInfo.InvariantCulture)}")
            .Single(line => line.StartsWith("flags:", StringComparison.Ordinal));
        return Convert.ToInt32(flags["flags:".Length..].Trim(), 8);
    }
}
