using System.ComponentModel;
using System.Runtime.InteropServices;

namespace KestrelNetpoll.Perf.Server;

/// <summary>
/// What <c>getrusage(2)</c> knows: processor time to the microsecond, where <c>/proc</c> counts ticks of ten milliseconds, and context
/// switches of all threads, those that have ended included.
/// </summary>
internal readonly partial record struct ResourceUsage(
    long UserMicroseconds, long SystemMicroseconds, long VoluntarySwitches, long InvoluntarySwitches)
{
    private const int Self = 0;
    private const int Children = -1;

    // struct rusage on 64-bit Linux: two timevals and fourteen counters, all of them longs.
    private const int FieldCount = 18;
    private const int SystemSeconds = 2;
    private const int VoluntaryField = 16;
    private const int InvoluntaryField = 17;
    private const long MicrosecondsPerSecond = 1_000_000;

    internal long CpuMicroseconds => UserMicroseconds + SystemMicroseconds;

    internal static ResourceUsage OfThisProcess() => Read(Self);

    /// <summary>Of the children that have ended and were waited for.</summary>
    internal static ResourceUsage OfEndedChildren() => Read(Children);

    private static ResourceUsage Read(int who)
    {
        Span<long> fields = stackalloc long[FieldCount];
        if (GetResourceUsage(who, fields) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        return new ResourceUsage(
            (fields[0] * MicrosecondsPerSecond) + fields[1],
            (fields[SystemSeconds] * MicrosecondsPerSecond) + fields[SystemSeconds + 1],
            fields[VoluntaryField],
            fields[InvoluntaryField]);
    }

    [LibraryImport("libc", EntryPoint = "getrusage", SetLastError = true)]
    private static partial int GetResourceUsage(int who, Span<long> usage);
}
