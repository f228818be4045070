namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Entries, the last one first. Anybody may push and take all; only one thread, which is also the only one to push meanwhile, may pop.
/// Mutable struct: a field, never copied.
/// </summary>
/// <typeparam name="T">The entries.</typeparam>
internal struct TurnList<T>
    where T : ListedTurn<T>
{
    private T? _top;

    internal readonly bool IsEmpty => Volatile.Read(in _top) is null;

    /// <summary>A full fence.</summary>
    internal void Push(T entry)
    {
        T? top = Volatile.Read(ref _top);
        while (true)
        {
            entry.Next = top;
            T? seen = Interlocked.CompareExchange(ref _top, entry, top);
            if (ReferenceEquals(seen, top))
            {
                return;
            }

            top = seen;
        }
    }

    /// <summary>For the one thread that pushes. An entry that others have taken cannot come back meanwhile, so that the exchange
    /// tells.</summary>
    internal T? TryPop()
    {
        while (Volatile.Read(ref _top) is { } top)
        {
            if (ReferenceEquals(Interlocked.CompareExchange(ref _top, top.Next, top), top))
            {
                top.Next = null;
                return top;
            }
        }

        return null;
    }

    /// <summary>The top of a chain that is the caller's alone.</summary>
    internal T? TakeAll() => IsEmpty ? null : Interlocked.Exchange(ref _top, null);
}
