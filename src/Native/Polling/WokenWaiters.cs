namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The waiters that a close, a cancellation or a deadline released. They are returned rather than run, because
/// the caller may hold the descriptor's lock, under which no foreign code runs; the caller must schedule them.
/// </summary>
internal struct WokenWaiters
{
    internal PollWaiter? Reader;
    internal PollWaiter? Writer;
}
