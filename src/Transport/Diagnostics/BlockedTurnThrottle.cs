using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// Lets one log entry of a kind through in ten seconds, and counts the others. Kinds come from requests, which clients make up: beyond a
/// number they share a place. Thread-safe.
/// </summary>
internal sealed class BlockedTurnThrottle(TimeProvider timeProvider)
{
    internal const int MaxKinds = 64;

    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    // Guards _entries and _others.
    private readonly Lock _lock = new();
    private readonly Dictionary<Kind, Entry> _entries = [];
    private Entry _others;

    /// <summary>True: it may be logged; so many of its kind have not been, since the last that was.</summary>
    internal bool TryEnter(in Kind kind, out long suppressed)
    {
        long now = timeProvider.GetTimestamp();
        lock (_lock)
        {
            if (_entries.TryGetValue(kind, out Entry entry))
            {
                bool entered = TryEnter(ref entry, now, out suppressed);
                _entries[kind] = entry;
                return entered;
            }

            if (_entries.Count == MaxKinds)
            {
                Forget(now);
            }

            if (_entries.Count == MaxKinds)
            {
                return TryEnter(ref _others, now, out suppressed);
            }

            suppressed = 0;
            _entries.Add(kind, new Entry(now, IsUsed: true, Suppressed: 0));
            return true;
        }
    }

    private bool TryEnter(ref Entry entry, long now, out long suppressed)
    {
        if (entry.IsUsed && timeProvider.GetElapsedTime(entry.At, now) < Interval)
        {
            entry = entry with { Suppressed = entry.Suppressed + 1 };
            suppressed = 0;
            return false;
        }

        suppressed = entry.Suppressed;
        entry = new Entry(now, IsUsed: true, Suppressed: 0);
        return true;
    }

    // Those that may be let through again. What was kept back of them is told with what shares a place.
    private void Forget(long now)
    {
        foreach ((Kind kind, Entry entry) in _entries)
        {
            if (timeProvider.GetElapsedTime(entry.At, now) >= Interval)
            {
                _others = _others with { Suppressed = _others.Suppressed + entry.Suppressed };
                _entries.Remove(kind);
            }
        }
    }

    /// <summary>What is told apart.</summary>
    /// <param name="Level">How bad it is.</param>
    /// <param name="Cause">What the thread was doing.</param>
    /// <param name="KernelCall">In which call.</param>
    /// <param name="Handler">For which route, or else path; null: it is not known.</param>
    internal readonly record struct Kind(LogLevel Level, BlockedTurnCause Cause, string? KernelCall, string? Handler);

    private readonly record struct Entry(long At, bool IsUsed, long Suppressed);
}
