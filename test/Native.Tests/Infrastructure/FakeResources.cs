using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>As many threads and as much memory as a test wants there to be.</summary>
internal sealed class FakeResources() : SystemResources(new KernelFiles(SystemCalls.Instance))
{
    internal const long Mebibyte = 1024 * 1024;

    internal ResourceReading Threads
    {
        set => ReadThreads = () => value;
    }

    internal Func<ResourceReading> ReadThreads { get; set; } = () => ResourceReading.Unlimited;

    internal ResourceReading Memory { get; set; } = ResourceReading.Unlimited;

    internal bool IsReadable { get; set; } = true;

    internal int Looks { get; private set; }

    internal override string? Obstacle => IsReadable ? null : "nothing can be read";

    internal void SetThreads(long limit, long used) => Threads = new ResourceReading(limit, used, "pids.max");

    internal void SetMemory(long limitMebibytes, long usedMebibytes) =>
        Memory = new ResourceReading(limitMebibytes * Mebibyte, usedMebibytes * Mebibyte, "memory.max");

    internal override bool TryRead(out ResourceReading threadReading, out ResourceReading memoryReading)
    {
        Looks++;
        (threadReading, memoryReading) = (ReadThreads(), Memory);
        return IsReadable;
    }
}
