namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>Lets so many through in an interval, which begins with the first, and counts the others. Thread-safe.</summary>
internal sealed class RateLimit(TimeProvider timeProvider, int permits, TimeSpan interval)
{
    // Guards the fields.
    private readonly Lock _lock = new();
    private long _began;
    private int _entered;
    private long _suppressed;

    /// <summary>True: it may go on; so many were not let through before it, and have not been told of yet.</summary>
    internal bool TryEnter(out long suppressed)
    {
        long now = timeProvider.GetTimestamp();
        lock (_lock)
        {
            if (_entered == 0 || timeProvider.GetElapsedTime(_began, now) >= interval)
            {
                _began = now;
                _entered = 0;
            }

            if (_entered == permits)
            {
                _suppressed++;
                suppressed = 0;
                return false;
            }

            _entered++;
            suppressed = _suppressed;
            _suppressed = 0;
            return true;
        }
    }
}
