using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The slots of one poller. It grows in chunks and never shrinks, so a slot number from a late event always finds a descriptor.
/// Thread-safe; looking a slot up takes no lock.
/// </summary>
internal sealed class PollDescriptorTable(DeadlineHeap heap)
{
    private const int ChunkBits = 8;
    private const int ChunkSize = 1 << ChunkBits;

    // Guards _free, _openCount and the growth of _chunks.
    private readonly Lock _lock = new();

    // Last in, first out, as in Go: a slot that was just freed is still in the cache.
    private readonly Stack<PollDescriptor> _free = new();

    // Replaced, never modified, when it grows; its chunks are never replaced.
    private PollDescriptor[][] _chunks = [];
    private int _openCount;

    /// <summary>How many slots are in use. May be a moment old.</summary>
    internal int OpenCount => Volatile.Read(ref _openCount);

    /// <summary>How many slots exist.</summary>
    internal int Capacity => Volatile.Read(ref _chunks).Length * ChunkSize;

    /// <summary>The descriptor in a slot, or null for a slot that no registration of this table ever had.</summary>
    internal PollDescriptor? Find(uint slot)
    {
        PollDescriptor[][] chunks = Volatile.Read(ref _chunks);
        uint chunk = slot >> ChunkBits;
        return chunk < (uint)chunks.Length ? chunks[chunk][slot & (ChunkSize - 1)] : null;
    }

    /// <summary>Takes a free slot and begins a new incarnation in it.</summary>
    internal PollDescriptor Allocate(PollWaiter? hangupWaiter)
    {
        PollDescriptor descriptor;
        lock (_lock)
        {
            if (_free.Count == 0)
            {
                Grow();
            }

            descriptor = _free.Pop();
            _openCount++;
        }

        descriptor.Open(hangupWaiter);
        return descriptor;
    }

    /// <summary>Ends the incarnation, and only then offers the slot for reuse.</summary>
    internal void Release(PollDescriptor descriptor)
    {
        descriptor.Free();
        lock (_lock)
        {
            _free.Push(descriptor);
            _openCount--;
        }
    }

    // Under _lock. Slot 2^32-1 is out of reach (2^24 chunks), which keeps the wake-up cookie unique.
    private void Grow()
    {
        var chunk = new PollDescriptor[ChunkSize];
        uint firstSlot = (uint)(_chunks.Length * ChunkSize);
        for (int i = ChunkSize - 1; i >= 0; i--)
        {
            chunk[i] = new PollDescriptor(firstSlot + (uint)i, heap);
            _free.Push(chunk[i]);
        }

        Volatile.Write(ref _chunks, [.. _chunks, chunk]);
    }
}
