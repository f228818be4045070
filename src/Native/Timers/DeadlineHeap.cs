namespace KestrelNetpoll.Native.Timers;

/// <summary>
/// A 4-ary min-heap of deadlines. Its earliest entry bounds how long the poller sleeps, so deadlines need no thread
/// and no operating-system timer. Thread-safe.
/// </summary>
/// <remarks>
/// Moving a deadline later does not come here at all: the armed timer fires early and its owner re-arms it
/// (see <see cref="Polling.PollDescriptor"/>). Lock order: a descriptor's lock may be held when this one is taken, never
/// the other way round; expired timers are therefore handed out one by one rather than called back.
/// </remarks>
internal sealed class DeadlineHeap
{
    /// <summary>What <see cref="Earliest"/> says when nothing is armed.</summary>
    internal const long None = long.MaxValue;

    private const int Arity = 4;

    // Guards _timers, _count and the fields of every DeadlineTimer.
    private readonly Lock _lock = new();
    private DeadlineTimer?[] _timers = new DeadlineTimer?[64];
    private int _count;

    // Written under _lock, read without it: a sleeper re-reads it after it has announced itself.
    private long _earliest = None;

    /// <summary>When the first timer is due, or <see cref="None"/>. May be stale by the time it is used.</summary>
    internal long Earliest => Volatile.Read(ref _earliest);

    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _count;
            }
        }
    }

    /// <summary>Arms the timer, or moves it if armed. True: it is now the earliest, and a sleeping poller may have to be told.</summary>
    internal bool Arm(DeadlineTimer timer, long when, uint sequence)
    {
        lock (_lock)
        {
            timer.When = when;
            timer.Sequence = sequence;
            if (timer.HeapIndex == DeadlineTimer.NotInHeap)
            {
                if (_count == _timers.Length)
                {
                    Array.Resize(ref _timers, _count * 2);
                }

                Place(timer, _count++);
            }

            SiftDown(SiftUp(timer.HeapIndex));
            return PublishEarliest() && timer.HeapIndex == 0;
        }
    }

    /// <summary>Takes the timer out. False: it is not armed, or has been taken out because it is due.</summary>
    internal bool Disarm(DeadlineTimer timer)
    {
        lock (_lock)
        {
            if (timer.HeapIndex == DeadlineTimer.NotInHeap)
            {
                return false;
            }

            RemoveAt(timer.HeapIndex);
            PublishEarliest();
            return true;
        }
    }

    /// <summary>Takes one timer that is due at <paramref name="now"/> out of the heap, with the sequence it was armed with.</summary>
    internal bool TryTakeExpired(long now, out DeadlineTimer timer, out uint sequence)
    {
        if (Earliest > now)
        {
            timer = null!;
            sequence = 0;
            return false;
        }

        lock (_lock)
        {
            if (_count == 0 || _timers[0]!.When > now)
            {
                timer = null!;
                sequence = 0;
                return false;
            }

            timer = _timers[0]!;
            sequence = timer.Sequence;
            RemoveAt(0);
            PublishEarliest();
            return true;
        }
    }

    private bool PublishEarliest()
    {
        long earliest = _count == 0 ? None : _timers[0]!.When;
        if (earliest == _earliest)
        {
            return false;
        }

        // A full fence, not just a release: the armer looks at the sleepers next, a sleeper that announced itself
        // looks here next. One of the two must see the other.
        Interlocked.Exchange(ref _earliest, earliest);
        return true;
    }

    private void RemoveAt(int index)
    {
        DeadlineTimer removed = _timers[index]!;
        DeadlineTimer last = _timers[--_count]!;
        _timers[_count] = null;
        removed.HeapIndex = DeadlineTimer.NotInHeap;
        if (!ReferenceEquals(removed, last))
        {
            Place(last, index);
            SiftDown(SiftUp(index));
        }
    }

    private int SiftUp(int index)
    {
        DeadlineTimer timer = _timers[index]!;
        while (index > 0)
        {
            int parent = (index - 1) / Arity;
            if (_timers[parent]!.When <= timer.When)
            {
                break;
            }

            Place(_timers[parent]!, index);
            index = parent;
        }

        Place(timer, index);
        return index;
    }

    private void SiftDown(int index)
    {
        DeadlineTimer timer = _timers[index]!;
        while (true)
        {
            int first = (index * Arity) + 1;
            if (first >= _count)
            {
                break;
            }

            int smallest = first;
            int end = Math.Min(first + Arity, _count);
            for (int child = first + 1; child < end; child++)
            {
                if (_timers[child]!.When < _timers[smallest]!.When)
                {
                    smallest = child;
                }
            }

            if (_timers[smallest]!.When >= timer.When)
            {
                break;
            }

            Place(_timers[smallest]!, index);
            index = smallest;
        }

        Place(timer, index);
    }

    private void Place(DeadlineTimer timer, int index)
    {
        _timers[index] = timer;
        timer.HeapIndex = index;
    }
}
