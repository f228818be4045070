using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>The counters of a queue, to start one close to where they wrap around.</summary>
internal static class RunQueueFields
{
    internal static RunQueue CreateAt(uint start)
    {
        RunQueue queue = new();
        Head(queue) = start;
        Tail(queue) = start;
        Cleared(queue) = start;
        return queue;
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_slots")]
    internal static extern ref Turn?[] Slots(RunQueue queue);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_head")]
    private static extern ref uint Head(RunQueue queue);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_tail")]
    private static extern ref uint Tail(RunQueue queue);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_cleared")]
    private static extern ref uint Cleared(RunQueue queue);
}
