using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The deadline of one direction of a descriptor, and the heap entry that enforces it. All fields of its own are guarded by the
/// descriptor's lock.
/// </summary>
/// <remarks>
/// <code>
///  Value      ArmedAt    meaning
///  --------   --------   --------------------------------------------------------------------
///  None       NotArmed   no deadline
///  v &gt; 0      a &lt;= v     the heap entry fires at a; if a &lt; v it fires early and re-arms itself at v
///  None       a          the deadline was cleared; the entry fires once more and does nothing
///  Expired    any        it has passed; operations fail until it is moved or cleared
/// </code>
/// <see cref="Seq"/> (Go's rseq and wseq) moves whenever a firing that may already be under way must be ignored:
/// the entry was armed earlier than before, or the descriptor was closed or reopened. It is never reset.
/// </remarks>
internal sealed class PollDeadline(PollDescriptor descriptor, PollMode mode) : DeadlineTimer
{
    internal const long None = 0;
    internal const long Expired = -1;
    internal const long NotArmed = 0;

    internal PollDescriptor Descriptor { get; } = descriptor;

    internal PollMode Mode { get; } = mode;

    internal long Value;
    internal long ArmedAt;
    internal uint Seq;

    /// <summary>What callers give as a point in time: null is none, and one that is not in the future has passed.</summary>
    internal static long At(DateTimeOffset? deadline) =>
        deadline is { } when ? After(when - DateTimeOffset.UtcNow) : None;

    /// <summary>
    /// What callers give as a time from now: <see cref="Timeout.InfiniteTimeSpan"/> is none, anything else that is not positive has passed.
    /// </summary>
    internal static long FromNow(TimeSpan left) => left == Timeout.InfiniteTimeSpan ? None : After(left);

    /// <summary>The heap took this entry out. Returns the waiter to schedule, if the deadline really passed.</summary>
    internal PollWaiter? Fire(uint sequence, long now, out DeadlineOutcome outcome) =>
        Descriptor.OnDeadline(this, sequence, now, out outcome);

    private static long After(TimeSpan left) => left <= TimeSpan.Zero ? Expired : MonotonicClock.After(left);
}
