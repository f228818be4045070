namespace KestrelNetpoll.Native.Timers;

/// <summary>
/// An entry of a <see cref="DeadlineHeap"/>, embedded in what it times so that arming allocates nothing.
/// The fields belong to the heap and are guarded by its lock.
/// </summary>
internal abstract class DeadlineTimer
{
    internal const int NotInHeap = -1;

    /// <summary>Position in the heap, or <see cref="NotInHeap"/>.</summary>
    internal int HeapIndex = NotInHeap;

    /// <summary>When it fires, on the monotonic clock.</summary>
    internal long When;

    /// <summary>Handed back when it fires: the owner ignores a firing whose sequence has moved on.</summary>
    internal uint Sequence;
}
