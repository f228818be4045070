using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many threads and how much memory this process may still take, by all who have a say. Limits change while it runs, so each look reads
/// them anew; that takes some fifteen reads of small files, about 0.1 ms. Not thread-safe. Tests replace it.
/// </summary>
internal class SystemResources(KernelFiles files)
{
    // What .NET may need for a moment to start a thread; without it, it gives up.
    private const int DescriptorsOfThreadStart = 4;

    private readonly ThreadLimits _threads = new(files);
    private readonly MemoryLimits _memory = new(files);

    /// <summary>Why the last look has found nothing out, for the log: the half of a sentence.</summary>
    internal virtual string? Obstacle { get; private set; }

    /// <summary>False: it could not be found out now, for want of descriptors, of which a few must be free, or for another
    /// reason.</summary>
    internal virtual bool TryRead(out ResourceReading threadReading, out ResourceReading memoryReading)
    {
        Obstacle = HasDescriptors() ? null : "the process has no descriptors left, without which it cannot start a thread";
        bool isComplete = _threads.TryRead(out threadReading);
        Obstacle ??= files.Obstacle;
        isComplete &= _memory.TryRead(out memoryReading);
        Obstacle ??= files.Obstacle;
        return isComplete && Obstacle is null;
    }

    // The lowest free number is the one that is handed out.
    private bool HasDescriptors()
    {
        SyscallResult probe = files.SystemCalls.EventFd(0, LibC.EFD_NONBLOCK);
        if (probe.IsError)
        {
            return false;
        }

        files.SystemCalls.Close(probe.Value);
        return files.SystemCalls.GetResourceLimit(LibC.RLIMIT_NOFILE, out long limit).IsError
            || probe.Value < limit - DescriptorsOfThreadStart;
    }
}
