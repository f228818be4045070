namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What there may be of something, and what there is, by the one of several limits that leaves the least.</summary>
/// <param name="Limit">The most there may be.</param>
/// <param name="Used">What there is, of whoever shares the limit.</param>
/// <param name="Source">Who says so, for the log.</param>
internal readonly record struct ResourceReading(long Limit, long Used, string Source)
{
    internal static readonly ResourceReading Unlimited = new(long.MaxValue / 4, 0, "no limit");

    internal long Left => Limit - Used;

    internal ResourceReading OrTighter(long? limit, long? used, string source) =>
        limit is { } most && used is { } now && most - now < Left ? new ResourceReading(most, now, source) : this;
}
