namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Who wants to know what the monitor sees. All members are called on the monitor's thread, which every blocked turn waits for: they must
/// be quick, must not throw, and must run nobody else's code there. What is foreign goes to the thread pool.
/// </summary>
internal interface IMonitorObserver
{
    /// <summary>From when on a turn counts as blocked, in nanoseconds; 0: none does. Read once, when the runtime is made.</summary>
    long BlockedTurnThreshold { get; }

    /// <summary>Does anybody want to hear of hand-offs? Asked before each.</summary>
    bool WantsHandOffs { get; }

    /// <summary>A turn has lasted for the threshold, and then for 10, 100 … times as long.</summary>
    void OnBlockedTurn(BlockedTurnSighting sighting);

    /// <summary>A processor has been taken from a turn.</summary>
    /// <param name="reason">Why.</param>
    /// <param name="nanoseconds">How long after the monitor had first seen the turn.</param>
    void OnHandedOff(HandOffReason reason, long nanoseconds);
}
