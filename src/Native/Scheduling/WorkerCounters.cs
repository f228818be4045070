namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What one worker has done. Written by that worker alone, read by anyone: the values may be a moment old.</summary>
internal sealed class WorkerCounters
{
    internal long Polls;
    internal long Events;
    internal long StaleEvents;
    internal long Turns;
    internal long FailedTurns;
    internal long DeadlinesFired;
}
