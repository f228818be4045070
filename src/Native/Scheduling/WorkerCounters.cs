using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What has been done on one processor. Written by its holder between turns, read by anyone: the values may be a moment
/// old.</summary>
internal sealed class WorkerCounters
{
    internal long Polls;
    internal long Events;
    internal long StaleEvents;
    internal long Turns;
    internal long StolenTurns;

    /// <summary>By <see cref="DeadlineOutcome"/>.</summary>
    internal readonly long[] Deadlines = new long[(int)DeadlineOutcome.Void + 1];

    /// <summary>With any outcome.</summary>
    internal long DeadlinesFired => Deadlines.Sum();
}
