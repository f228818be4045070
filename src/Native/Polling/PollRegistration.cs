namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// What a backend keeps of one incarnation of a slot, from registration to its end: those do that are to be asked again for what they have
/// reported, and those that must know what a descriptor is. The others keep nothing.
/// </summary>
internal abstract class PollRegistration
{
    /// <summary>
    /// Somebody is about to wait in this direction: report when it is ready, once, also if it is ready already. Called by the waiter
    /// between announcing and committing itself (Go's netpollarm), so that an event cannot come too early. Any thread.
    /// </summary>
    internal abstract void Arm(PollMode mode);
}
