namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// How long to wait when the system has no room for another connection (EMFILE and its like), and when to say so. The pending
/// connection stays in the kernel's queue and raises no new edge, so somebody has to come back; but not at once, since what is
/// missing is freed by others. Used by one accept operation at a time; not thread-safe.
/// </summary>
internal sealed class AcceptBackoff(TimeProvider timeProvider)
{
    internal static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(5);
    internal static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(1);
    internal static readonly TimeSpan WarningInterval = TimeSpan.FromSeconds(10);

    private TimeSpan _nextDelay = FirstDelay;
    private long? _lastWarning;

    /// <summary>All failures so far.</summary>
    internal long Failures { get; private set; }

    /// <summary>Accepting failed: returns the pause, which doubles until something is accepted, and whether a warning is due.</summary>
    internal TimeSpan OnFailure(out bool warn)
    {
        Failures++;
        TimeSpan delay = _nextDelay;
        _nextDelay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, LongestDelay.Ticks));

        long now = timeProvider.GetTimestamp();
        warn = _lastWarning is not { } last || timeProvider.GetElapsedTime(last, now) >= WarningInterval;
        if (warn)
        {
            _lastWarning = now;
        }

        return delay;
    }

    internal void OnSuccess() => _nextDelay = FirstDelay;
}
