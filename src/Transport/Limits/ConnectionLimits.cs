using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Transport.Limits;

/// <summary>
/// The limits of an endpoint's connections, in nanoseconds of the monotonic clock; <see cref="long.MaxValue"/> where there is none.
/// </summary>
internal sealed class ConnectionLimits
{
    private const long None = long.MaxValue;
    private const int NanosecondsPerTick = 100;

    // How late a limit may be noticed, as a part of the shortest one. Looking costs little, so this may be often, but it is never free.
    private const int LooksPerLimit = 8;
    private const long MinInterval = 20 * MonotonicClock.NanosecondsPerMillisecond;
    private const long MaxInterval = 1_000 * MonotonicClock.NanosecondsPerMillisecond;

    private ConnectionLimits(NetpollEndpointOptions options)
    {
        FirstByteTimeout = ToNanoseconds(options.FirstByteTimeout);
        ReadIdleTimeout = ToNanoseconds(options.ReadIdleTimeout);
        WriteStallTimeout = ToNanoseconds(options.WriteStallTimeout);
        MaxConnectionAge = ToNanoseconds(options.MaxConnectionAge);
        long shortest = Math.Min(Math.Min(FirstByteTimeout, ReadIdleTimeout), Math.Min(WriteStallTimeout, MaxConnectionAge));
        LookInterval = Math.Clamp(shortest / LooksPerLimit, MinInterval, MaxInterval);
    }

    internal long FirstByteTimeout { get; }

    internal long ReadIdleTimeout { get; }

    internal long WriteStallTimeout { get; }

    internal long MaxConnectionAge { get; }

    /// <summary>How often all connections are looked at.</summary>
    internal long LookInterval { get; }

    /// <summary>Null: there is no limit.</summary>
    internal static ConnectionLimits? From(NetpollEndpointOptions options) =>
        (options.FirstByteTimeout ?? options.ReadIdleTimeout ?? options.WriteStallTimeout ?? options.MaxConnectionAge) is null
            ? null
            : new ConnectionLimits(options);

    internal TimeSpan ValueOf(ConnectionLimit limit) => new((limit switch
    {
        ConnectionLimit.FirstByteTimeout => FirstByteTimeout,
        ConnectionLimit.ReadIdleTimeout => ReadIdleTimeout,
        ConnectionLimit.WriteStallTimeout => WriteStallTimeout,
        _ => MaxConnectionAge,
    }) / NanosecondsPerTick);

    private static long ToNanoseconds(TimeSpan? limit) => limit is { } given ? given.Ticks * NanosecondsPerTick : None;
}
