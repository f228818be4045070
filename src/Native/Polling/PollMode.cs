namespace KestrelNetpoll.Native.Polling;

/// <summary>The direction of an operation on a descriptor. Each direction has its own semaphore and deadline.</summary>
internal enum PollMode
{
    Read,
    Write,
}
