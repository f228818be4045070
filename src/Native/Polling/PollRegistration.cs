namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// What a backend keeps of one incarnation of a slot, from registration to its end. Only of backends that report nothing unasked:
/// level-triggered ones, and those that forget a descriptor once they have reported it. The others keep nothing.
/// </summary>
internal abstract class PollRegistration
{
    /// <summary>
    /// Somebody is about to wait in this direction: report when it is ready, once, also if it is ready already. Called by the waiter
    /// between announcing and committing itself (Go's netpollarm), so that an event cannot come too early. Any thread.
    /// </summary>
    internal abstract void Arm(PollMode mode);
}
