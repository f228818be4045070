namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// What can be parked on a descriptor. Opaque here: a poller only hands back the waiters that events release;
/// running them is the scheduler's business.
/// </summary>
internal abstract class PollWaiter;
