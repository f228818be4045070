using System.Collections.Concurrent;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>Keeps what the monitor tells.</summary>
internal sealed class RecordingObserver(long threshold, bool wantsHandOffs = false) : IMonitorObserver
{
    public long BlockedTurnThreshold { get; } = threshold;

    public bool WantsHandOffs { get; } = wantsHandOffs;

    internal ConcurrentQueue<BlockedTurnSighting> Blocked { get; } = new();

    internal ConcurrentQueue<(HandOffReason Reason, long Nanoseconds)> HandOffs { get; } = new();

    public void OnBlockedTurn(BlockedTurnSighting sighting) => Blocked.Enqueue(sighting);

    public void OnHandedOff(HandOffReason reason, long nanoseconds) => HandOffs.Enqueue((reason, nanoseconds));
}
