namespace KestrelNetpoll.Transport.Listening;

/// <summary>
/// How long to wait when the system has no room for another connection (EMFILE and its like), and when to say so. The pending
/// connection stays in the kernel's queue and raises no new edge, so somebody has to come back; but not at once, since what is
/// missing is freed by others. Used by one acceptor; not thread-safe, but for what the acceptors of an endpoint share.
/// </summary>
internal sealed class AcceptBackoff(AcceptBackoff.Shared shared)
{
    internal static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(5);
    internal static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(1);
    internal static readonly TimeSpan WarningInterval = TimeSpan.FromSeconds(10);

    private TimeSpan _nextDelay = FirstDelay;

    /// <summary>All failures of the endpoint so far.</summary>
    internal long Failures => shared.Failures;

    /// <summary>Accepting failed: returns the pause, which doubles until something is accepted, and whether a warning is due.</summary>
    internal TimeSpan OnFailure(out bool warn)
    {
        TimeSpan delay = _nextDelay;
        _nextDelay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, LongestDelay.Ticks));

        warn = shared.OnFailure();
        return delay;
    }

    /// <summary>Something was accepted.</summary>
    /// <param name="hasRoom">There is room for more: one that was let in because there are few is not the end of it.</param>
    /// <returns>True: it is the end, and whoever was warned does not know yet.</returns>
    internal bool OnSuccess(bool hasRoom = true)
    {
        _nextDelay = FirstDelay;
        return hasRoom && shared.IsWarned && shared.OnSuccess();
    }

    /// <summary>What the acceptors of an endpoint, one for each worker group, have in common: they run out of room together.
    /// Thread-safe.</summary>
    internal sealed class Shared(TimeProvider timeProvider)
    {
        // Guards the fields.
        private readonly Lock _lock = new();
        private long _failures;
        private long? _lastWarning;
        private volatile bool _warned;

        internal long Failures => Volatile.Read(ref _failures);

        /// <summary>Has somebody been warned, and not been told since that it is over? A moment old, perhaps.</summary>
        internal bool IsWarned => _warned;

        /// <summary>True: a warning is due.</summary>
        internal bool OnFailure()
        {
            lock (_lock)
            {
                _failures++;
                long now = timeProvider.GetTimestamp();
                if (_lastWarning is { } last && timeProvider.GetElapsedTime(last, now) < WarningInterval)
                {
                    return false;
                }

                _lastWarning = now;
                _warned = true;
                return true;
            }
        }

        /// <summary>True, once after each warning: it is over.</summary>
        internal bool OnSuccess()
        {
            lock (_lock)
            {
                bool warned = _warned;
                _warned = false;
                return warned;
            }
        }
    }
}
