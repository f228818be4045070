using System.Globalization;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many threads there may be. Not thread-safe.
/// <code>
///   who says so                                        counts
///   pids.max of each control group on the path up      pids.current
///   RLIMIT_NPROC, unless the process may exceed it     the threads of the user, of all processes that can be seen (UserThreads)
///   kernel.threads-max, kernel.pid_max                 all threads of the system
///   vm.max_map_count                                   four mappings for each thread of the process: two stacks, with their guard pages
/// </code>
/// </summary>
internal sealed class ThreadLimits
{
    private const int MappingsPerThread = 4;

    // CAP_SYS_ADMIN, CAP_SYS_RESOURCE: whoever has one of them may exceed RLIMIT_NPROC.
    private const ulong ExemptingCapabilities = (1UL << 21) | (1UL << 24);

    // The user's threads of other processes are counted one process after the other: not while the limit is far away.
    private const long FarAway = 16_384;

    private readonly KernelFiles _files;
    private readonly ControlGroups _groups;
    private readonly UserThreads _others;

    /// <param name="files">The files of the kernel.</param>
    /// <param name="slice">How long counting the threads of other processes may take at each look; null: the default.</param>
    internal ThreadLimits(KernelFiles files, TimeSpan? slice = null)
    {
        _files = files;
        _groups = new ControlGroups(files, "pids");
        _others = new UserThreads(files, slice ?? UserThreads.DefaultSlice);
    }

    /// <summary>False: something could not be read now.</summary>
    internal bool TryRead(out ResourceReading reading)
    {
        _files.IsIncomplete = false;
        reading = ResourceReading.Unlimited;
        foreach (ControlGroup group in _groups.Find())
        {
            string limit = group.Folder + "/pids.max";
            reading = reading.OrTighter(_files.ReadNumber(limit), _files.ReadNumber(group.Folder + "/pids.current"), limit);
        }

        // "0.00 0.00 0.00 RUNNING/ALL LAST": of the whole machine.
        string? load = _files.Read("/proc/loadavg");
        long? all = load?.Split(' ') is { Length: > 3 } fields && fields[3].IndexOf('/') is > 0 and var slash
            ? KernelFiles.Parse(fields[3].AsSpan(slash + 1))
            : null;
        reading = reading.OrTighter(_files.ReadNumber("/proc/sys/kernel/threads-max"), all, "kernel.threads-max");

        // This one may belong to a namespace of processes, while the count is everybody's: then they have nothing to do with each other.
        if (_files.ReadNumber("/proc/sys/kernel/pid_max") is { } numbers && all < numbers)
        {
            reading = reading.OrTighter(numbers, all, "kernel.pid_max");
        }

        string? status = _files.Read("/proc/self/status");
        long? own = KernelFiles.Find(status, "Threads:");
        reading = reading.OrTighter(_files.ReadNumber("/proc/sys/vm/max_map_count") / MappingsPerThread, own, "vm.max_map_count");
        if (own is { } threads
            && _files.SystemCalls.GetResourceLimit(LibC.RLIMIT_NPROC, out long processes).IsSuccess
            && processes != long.MaxValue
            && !MayExceedProcessLimit(status))
        {
            long others = processes - threads < FarAway ? _others.Count(KernelFiles.Find(status, "Uid:")) : 0;
            reading = reading.OrTighter(processes, threads + others, "RLIMIT_NPROC");
        }

        return !_files.IsIncomplete;
    }

    // Root, and those capabilities, count outside of user namespaces only, where users have the numbers that the kernel knows them by.
    private bool MayExceedProcessLimit(string? status)
    {
        string[] map = (_files.Read("/proc/self/uid_map") ?? "").Split(
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
}
