using System.Globalization;
using System.Runtime;

namespace KestrelNetpoll.Perf.Server;

/// <summary>
/// What the server process has used so far, as <c>/process</c> tells it. A comparison reads it before and after each pass: it works the
/// same whether the server is a child process or runs in a container.
/// </summary>
/// <remarks>
/// Containers of one machine have the same <see cref="BootId"/>, and share its processors. <see cref="CompiledMethods"/> counts a method
/// again each time that it is compiled: while it rises, the code is not yet what it will be. <see cref="AllowedProcessors"/> is a list of
/// numbers and ranges.
/// </remarks>
internal sealed record ProcessUsage(
    int Pid,
    string Transport,
    long UserMicroseconds,
    long SystemMicroseconds,
    long VoluntarySwitches,
    long InvoluntarySwitches,
    long AllocatedBytes,
    long HeapBytes,
    long ResidentBytes,
    long PeakResidentBytes,
    int Threads,
    int Processors,
    string BootId,
    long CompiledMethods = 0,
    string AllowedProcessors = "")
{
    private const long BytesPerKilobyte = 1024;
    private const string AllowedField = "Cpus_allowed_list:";

    /// <summary>Reads it; with <paramref name="collect"/> after a full collection, so that the heap is what is really held.</summary>
    internal static ProcessUsage Read(string transport, bool collect)
    {
        if (collect)
        {
            // Twice: what a finalizer lets go of is garbage only afterwards.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
        }

        ResourceUsage usage = ResourceUsage.OfThisProcess();
        Dictionary<string, long> status = ReadStatus();
        return new ProcessUsage(
            Environment.ProcessId,
            transport,
            usage.UserMicroseconds,
            usage.SystemMicroseconds,
            usage.VoluntarySwitches,
            usage.InvoluntarySwitches,
            GC.GetTotalAllocatedBytes(precise: true),
            GC.GetTotalMemory(forceFullCollection: false),
            status["VmRSS"] * BytesPerKilobyte,
            status["VmHWM"] * BytesPerKilobyte,
            (int)status["Threads"],
            Environment.ProcessorCount,
            ReadBootId(),
            JitInfo.GetCompiledMethodCount(),
            ReadAllowedProcessors());
    }

    internal static string ReadBootId() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    internal static string ReadAllowedProcessors() => File.ReadLines("/proc/self/status")
        .Where(static line => line.StartsWith(AllowedField, StringComparison.Ordinal))
        .Select(static line => line[AllowedField.Length..].Trim())
        .FirstOrDefault("");

    /// <summary>Lets the peak of the resident memory begin anew from what is resident now.</summary>
    internal static void ResetPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    private static Dictionary<string, long> ReadStatus()
    {
        var values = new Dictionary<string, long>();
        foreach (string line in File.ReadLines("/proc/self/status"))
        {
            string[] words = line.Split([':', ' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length > 1 && long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out long value))
            {
                values[words[0]] = value;
            }
        }

        return values;
    }
}
