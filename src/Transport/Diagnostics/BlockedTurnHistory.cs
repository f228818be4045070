namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>The blocked turns that were told of last. Thread-safe.</summary>
internal sealed class BlockedTurnHistory(TimeProvider timeProvider)
{
    internal const int Capacity = 64;

    // Guards everything below.
    private readonly Lock _lock = new();
    private readonly Entry[] _entries = new Entry[Capacity];
    private long _count;

    internal void Add(BlockedTurnEventArgs blocked)
    {
        DateTimeOffset now = timeProvider.GetUtcNow();
        lock (_lock)
        {
            _entries[_count++ % Capacity] = new Entry(now, blocked);
        }
    }

    /// <summary>The last one first.</summary>
    /// <param name="count">How many there have been, those that are forgotten included.</param>
    internal Entry[] Read(out long count)
    {
        lock (_lock)
        {
            count = _count;
            var entries = new Entry[Math.Min(count, Capacity)];
            for (int i = 0; i < entries.Length; i++)
            {
                entries[i] = _entries[(count - 1 - i) % Capacity];
            }

            return entries;
        }
    }

    /// <param name="At">When it was told of.</param>
    /// <param name="Blocked">What was told.</param>
    internal readonly record struct Entry(DateTimeOffset At, BlockedTurnEventArgs Blocked);
}
