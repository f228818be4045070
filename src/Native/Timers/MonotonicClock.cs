using System.Diagnostics;

namespace KestrelNetpoll.Native.Timers;

/// <summary>Nanoseconds of the monotonic clock: the only time deadlines are compared in.</summary>
internal static class MonotonicClock
{
    internal const long NanosecondsPerMillisecond = 1_000_000;

    private const long NanosecondsPerSecond = 1_000_000_000;
    private const int NanosecondsPerTick = 100;

    /// <summary>Now, in nanoseconds since an arbitrary point in the past. Never 0 or negative.</summary>
    internal static long Now
    {
        get
        {
            long timestamp = Stopwatch.GetTimestamp();
            return Stopwatch.Frequency == NanosecondsPerSecond ? timestamp : Scale(timestamp);
        }
    }

    /// <summary>The point <paramref name="delay"/> from now; a point beyond the clock's range becomes the range's end.</summary>
    internal static long After(TimeSpan delay)
    {
        Int128 when = (Int128)Now + ((Int128)delay.Ticks * NanosecondsPerTick);
        return when > long.MaxValue ? long.MaxValue : (long)when;
    }

    // Apart: a method with 128-bit numbers in it is not compiled ahead of time.
    private static long Scale(long timestamp) => (long)((Int128)timestamp * NanosecondsPerSecond / Stopwatch.Frequency);
}
