namespace KestrelNetpoll.Transport.Limits;

/// <summary>How many connections were not accepted, and why, on all endpoints together. Thread-safe.</summary>
internal sealed class AcceptRefusals
{
    private long _byHook;
    private long _byAddress;

    /// <summary>Those that a hook did not want, or threw at.</summary>
    internal long ByHook => Volatile.Read(ref _byHook);

    /// <summary>Those that were more than their client may have.</summary>
    internal long ByAddress => Volatile.Read(ref _byAddress);

    internal void CountByHook() => Interlocked.Increment(ref _byHook);

    internal void CountByAddress() => Interlocked.Increment(ref _byAddress);
}
