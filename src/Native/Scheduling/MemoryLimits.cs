using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How much memory there may be: by each control group on the path up, and on the whole machine. Cached pages of files that nobody has used
/// for a while count as free, since the kernel drops them first; half of the others, among which are the libraries that run. Bytes. Not
/// thread-safe.
/// </summary>
internal sealed class MemoryLimits(KernelFiles files)
{
    private const long BytesPerKilobyte = 1024;

    private readonly ControlGroups _groups = new(files, "memory");

    /// <summary>False: something could not be read now.</summary>
    internal bool TryRead(out ResourceReading reading)
    {
        files.IsIncomplete = false;
        string? system = files.Read("/proc/meminfo");
        long? total = KernelFiles.Find(system, "MemTotal:") * BytesPerKilobyte;
        long? available = KernelFiles.Find(system, "MemAvailable:") * BytesPerKilobyte;
        reading = ResourceReading.Unlimited.OrTighter(total, total - available, "the machine's memory");
        foreach (ControlGroup group in _groups.Find())
        {
            string limitPath = group.Folder + (group.IsUnified ? "/memory.max" : "/memory.limit_in_bytes");
            string usedPath = group.Folder + (group.IsUnified ? "/memory.current" : "/memory.usage_in_bytes");

            // A group without a limit of version 1 has an enormous one.
            if (files.ReadNumber(limitPath) is not { } limit
                || (total is not null && limit >= total)
                || files.ReadNumber(usedPath) is not { } used)
            {
                continue;
            }

            // The kernel has to add this file up, which takes time on large machines: not while there is plenty.
            if (limit - used < Math.Min(reading.Left, limit / 2))
            {
                string? statistics = files.Read(group.Folder + "/memory.stat");
                string prefix = group.IsUnified ? "" : "total_";
                long inactive = KernelFiles.Find(statistics, prefix + "inactive_file ") ?? 0;
                long active = KernelFiles.Find(statistics, prefix + "active_file ") ?? 0;
                used -= Math.Min(used, inactive + (active / 2));
            }

            reading = reading.OrTighter(limit, used, limitPath);
        }

        return !files.IsIncomplete;
    }
}
