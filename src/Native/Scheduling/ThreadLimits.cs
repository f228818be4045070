using System.Globalization;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many threads there may be. Not thread-safe.
/// <code>
///   who says so                                        counts
///   pids.max of each control group on the path up      pids.current
///   RLIMIT_NPROC, unless the process may exceed it     the threads of the user, of all processes that can be seen
///   kernel.threads-max, kernel.pid_max                 all threads of the system
///   vm.max_map_count                                   four mappings for each thread of the process: two stacks, with their guard pages
/// </code>
/// </summary>
internal sealed class ThreadLimits(KernelFiles files)
{
    private const int MappingsPerThread = 4;

    // CAP_SYS_ADMIN, CAP_SYS_RESOURCE: whoever has one of them may exceed RLIMIT_NPROC.
    private const ulong ExemptingCapabilities = (1UL << 21) | (1UL << 24);

    // The user's threads of other processes are counted one process after the other: not while the limit is far away, nor at each look.
    private const long FarAway = 16_384;
    private static readonly TimeSpan CountInterval = TimeSpan.FromSeconds(5);

    private readonly ControlGroups _groups = new(files, "pids");
    private long _others;
    private long _countedAt = long.MinValue;

    /// <summary>False: something could not be read now.</summary>
    internal bool TryRead(out ResourceReading reading)
    {
        files.IsIncomplete = false;
        reading = ResourceReading.Unlimited;
        foreach (ControlGroup group in _groups.Find())
        {
            string limit = group.Folder + "/pids.max";
            reading = reading.OrTighter(files.ReadNumber(limit), files.ReadNumber(group.Folder + "/pids.current"), limit);
        }

        // "0.00 0.00 0.00 RUNNING/ALL LAST": of the whole machine.
        string? load = files.Read("/proc/loadavg");
        long? all = load?.Split(' ') is { Length: > 3 } fields && fields[3].IndexOf('/') is > 0 and var slash
            ? KernelFiles.Parse(fields[3].AsSpan(slash + 1))
            : null;
        reading = reading.OrTighter(files.ReadNumber("/proc/sys/kernel/threads-max"), all, "kernel.threads-max");

        // This one may belong to a namespace of processes, while the count is everybody's: then they have nothing to do with each other.
        if (files.ReadNumber("/proc/sys/kernel/pid_max") is { } numbers && all < numbers)
        {
            reading = reading.OrTighter(numbers, all, "kernel.pid_max");
        }

        string? status = files.Read("/proc/self/status");
        long? own = KernelFiles.Find(status, "Threads:");
        reading = reading.OrTighter(files.ReadNumber("/proc/sys/vm/max_map_count") / MappingsPerThread, own, "vm.max_map_count");
        if (own is { } threads
            && files.SystemCalls.GetResourceLimit(LibC.RLIMIT_NPROC, out long processes).IsSuccess
            && processes != long.MaxValue
            && !MayExceedProcessLimit(status))
        {
            long others = processes - threads < FarAway ? CountOthers(KernelFiles.Find(status, "Uid:")) : 0;
            reading = reading.OrTighter(processes, threads + others, "RLIMIT_NPROC");
        }

        return !files.IsIncomplete;
    }

    // Root, and those capabilities, count outside of user namespaces only, where users have the numbers that the kernel knows them by.
    private bool MayExceedProcessLimit(string? status)
    {
        string[] map = (files.Read("/proc/self/uid_map") ?? "").Split(
            ' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (map is not ["0", "0", "4294967295"])
        {
            return false;
        }

        if (KernelFiles.Find(status, "Uid:") == 0)
        {
            return true;
        }

        const string Name = "CapEff:";
        foreach (ReadOnlySpan<char> line in status.AsSpan().EnumerateLines())
        {
            if (line.StartsWith(Name, StringComparison.Ordinal))
            {
                ReadOnlySpan<char> mask = line[Name.Length..].Trim();
                return ulong.TryParse(mask, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong capabilities)
                    && (capabilities & ExemptingCapabilities) != 0;
            }
        }

        return false;
    }

    private long CountOthers(long? user)
    {
        long now = Environment.TickCount64;
        if (_countedAt != long.MinValue && now - _countedAt < CountInterval.TotalMilliseconds)
        {
            return _others;
        }

        long others = 0;
        try
        {
            foreach (string folder in Directory.EnumerateDirectories(files.PathOf("/proc")))
            {
                string process = Path.GetFileName(folder);
                if (!char.IsAsciiDigit(process[0]) || process == Environment.ProcessId.ToString(CultureInfo.InvariantCulture))
                {
                    continue;
                }

                // It may have ended by now.
                string? status = files.Read($"/proc/{process}/status");
                if (status is not null && KernelFiles.Find(status, "Uid:") == user)
                {
                    others += KernelFiles.Find(status, "Threads:") ?? 0;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            files.IsIncomplete = true;
        }

        if (!files.IsIncomplete)
        {
            // A count that was cut short is not kept.
            _countedAt = now;
            _others = others;
        }

        return others;
    }
}
