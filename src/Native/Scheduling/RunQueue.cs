using System.Diagnostics.CodeAnalysis;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The turns that one processor has fetched and not yet run: Go's ring of 256. Its owner, the worker that holds the processor, adds at the
/// tail and takes at the head; any other worker of the group may steal half of it from the head.
/// </summary>
/// <remarks>
/// <code>
///   cleared            head               tail                     (counters that only grow, modulo 2^32; slot = counter modulo 256)
///      |-- taken, kept --|-- to be run -----|
/// </code>
/// <para>The head moves by compare-and-swap only, whoever takes; the tail is written by the owner alone, after the slot. A thief reads the
/// slots first and then claims them all at once: if the head has moved in between, what it has read means nothing.</para>
/// <para>A thief cannot empty the slots it took from, because the owner may have filled them again, perhaps with the same turn. The owner
/// does it, at its leisure (<see cref="ForgetTaken"/>): until then a slot keeps a turn, and the connection behind it, from being
/// collected.</para>
/// </remarks>
internal sealed class RunQueue
{
    internal const int Capacity = 256;

    private readonly Turn?[] _slots = new Turn?[Capacity];

    // Interlocked by whoever takes.
    private uint _head;

    // Written by the owner.
    private uint _tail;

    // The owner's: slots before it are empty.
    private uint _cleared;

    /// <summary>Any thread; may be a moment old.</summary>
    internal int Count
    {
        get
        {
            // In this order the difference is never negative: the head cannot overtake a tail that is read later.
            uint head = Volatile.Read(ref _head);
            return (int)Math.Min(Volatile.Read(ref _tail) - head, Capacity);
        }
    }

    internal bool IsEmpty => Count == 0;

    /// <summary>Owner only. False: full.</summary>
    internal bool TryPush(Turn turn)
    {
        uint tail = _tail;
        if (tail - Volatile.Read(ref _head) == Capacity)
        {
            return false;
        }

        Slot(tail) = turn;
        Volatile.Write(ref _tail, tail + 1);
        return true;
    }

    /// <summary>Owner only. The oldest turn.</summary>
    internal bool TryPop([NotNullWhen(true)] out Turn? turn)
    {
        while (true)
        {
            uint head = Volatile.Read(ref _head);
            if (head == _tail)
            {
                turn = null;
                return false;
            }

            turn = Slot(head)!;
            if (Interlocked.CompareExchange(ref _head, head + 1, head) == head)
            {
                return true;
            }
        }
    }

    /// <summary>Moves the older half, rounded up, to an empty queue that the caller owns. Any thread.</summary>
    /// <returns>How many turns it got.</returns>
    internal int StealInto(RunQueue target)
    {
        while (true)
        {
            uint head = Volatile.Read(ref _head);
            uint count = Volatile.Read(ref _tail) - head;
            count -= count / 2;
            if (count == 0)
            {
                return 0;
            }

            if (count > Capacity / 2)
            {
                // The two were not read at the same moment: the head has moved since.
                continue;
            }

            uint free = target._tail;
            for (uint i = 0; i < count; i++)
            {
                target.Slot(free + i) = Volatile.Read(ref Slot(head + i));
            }

            if (Interlocked.CompareExchange(ref _head, head + count, head) == head)
            {
                Volatile.Write(ref target._tail, free + count);
                return (int)count;
            }

            for (uint i = 0; i < count; i++)
            {
                target.Slot(free + i) = null;
            }
        }
    }

    /// <summary>Owner only: lets go of the turns that were taken, but not of those that have come into their slots since.</summary>
    internal void ForgetTaken()
    {
        uint head = Volatile.Read(ref _head);
        uint free = Capacity - (_tail - head);
        uint taken = Math.Min(head - _cleared, free);
        for (uint i = 1; i <= taken; i++)
        {
            Slot(head - i) = null;
        }

        _cleared = head;
    }

    private ref Turn? Slot(uint index) => ref _slots[index % Capacity];
}
