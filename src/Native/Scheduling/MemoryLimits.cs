using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>How much memory there may be: by each control group on the path up, and on the whole machine. Bytes. Not
/// thread-safe.</summary>
/// <remarks>
/// <code>
///   who says so                                                     counts
///   memory.max and memory.high of each group (version 2)            memory.current, without what the kernel can take back
///   memory.limit_in_bytes of each group (version 1)                 memory.usage_in_bytes, without the same
///   the hierarchical_memory_limit of the own group (version 1),     the same of the own group, as the least that those have
///   which is that of groups above, also where they cannot be seen
///   MemTotal                                                        what is not MemAvailable
/// </code>
/// Above memory.high nothing is refused, but the kernel stops whoever allocates, for longer and longer: a limit like the others. It can
/// take back pages of files that nobody has used for a while, and it drops them first; half of the others, among which are the libraries
/// that run; and half of the objects that it keeps for later (slab_reclaimable: names of files and the like), some of which are in use.
/// For the machine, whose MemAvailable is made up of the same, it takes off a half at most itself.
/// </remarks>
internal sealed class MemoryLimits(KernelFiles files)
{
    private const long BytesPerKilobyte = 1024;

    // The limits of groups that cannot be seen are in a file that takes the kernel some time, and change rarely.
    internal const long HierarchyIntervalNanoseconds = 1_000 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly ControlGroups _groups = new(files, "memory");
    private string? _hierarchyOf;
    private long? _hierarchyLimit;
    private long _hierarchyReadAt;

    /// <summary>False: something could not be read now.</summary>
    internal bool TryRead(out ResourceReading reading)
    {
        files.IsIncomplete = false;
        string? system = files.Read("/proc/meminfo");
        long? total = KernelFiles.Find(system, "MemTotal:") * BytesPerKilobyte;
        long? available = KernelFiles.Find(system, "MemAvailable:") * BytesPerKilobyte;
        reading = ResourceReading.Unlimited.OrTighter(total, total - available, "the machine's memory");
        bool isOwnOfVersion1 = true;
        foreach (ControlGroup group in _groups.Find())
        {
            (long limit, string source) = group.IsUnified
                ? Tighter(ReadLimit(group, "/memory.max"), ReadLimit(group, "/memory.high"))
                : ReadLimit(group, "/memory.limit_in_bytes");
            if (!group.IsUnified && isOwnOfVersion1)
            {
                isOwnOfVersion1 = false;
                (limit, source) = Tighter((limit, source), ReadHierarchyLimit(group));
            }

            // A group without a limit of version 1 has an enormous one.
            string usedPath = group.Folder + (group.IsUnified ? "/memory.current" : "/memory.usage_in_bytes");
            if (limit == long.MaxValue || limit >= total || files.ReadNumber(usedPath) is not { } used)
            {
                continue;
            }

            // The kernel has to add this file up, which takes time on large machines: not while there is plenty.
            if (limit - used < Math.Min(reading.Left, limit / 2))
            {
                used -= Math.Min(used, ReadReclaimable(group));
            }

            reading = reading.OrTighter(limit, used, source);
        }

        return !files.IsIncomplete;
    }

    private static (long Limit, string Source) Tighter((long Limit, string Source) one, (long Limit, string Source) other) =>
        other.Limit < one.Limit ? other : one;

    // None is the largest number.
    private (long Limit, string Source) ReadLimit(ControlGroup group, string name) =>
        (files.ReadNumber(group.Folder + name) ?? long.MaxValue, group.Folder + name);

    private (long Limit, string Source) ReadHierarchyLimit(ControlGroup group)
    {
        string path = group.Folder + "/memory.stat";
        long now = files.Clock();
        if (path != _hierarchyOf || now - _hierarchyReadAt >= HierarchyIntervalNanoseconds)
        {
            _hierarchyLimit = KernelFiles.Find(files.Read(path), "hierarchical_memory_limit ");
            _hierarchyOf = files.IsIncomplete ? null : path;
            _hierarchyReadAt = now;
        }

        return (_hierarchyLimit ?? long.MaxValue, $"hierarchical_memory_limit in {path}");
    }

    private long ReadReclaimable(ControlGroup group)
    {
        string? statistics = files.Read(group.Folder + "/memory.stat");
        string prefix = group.IsUnified ? "" : "total_";
        long inactive = KernelFiles.Find(statistics, prefix + "inactive_file ") ?? 0;
        long active = KernelFiles.Find(statistics, prefix + "active_file ") ?? 0;

        // Version 1 does not tell.
        long kept = KernelFiles.Find(statistics, "slab_reclaimable ") ?? 0;
        return inactive + (active / 2) + (kept / 2);
    }
}
