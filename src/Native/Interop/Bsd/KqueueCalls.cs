namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// kqueue(2), as <see cref="Polling.KqueuePoller"/> needs it. The bytes are those of the system's own <c>struct kevent</c>: see
/// <see cref="Layout"/>. Safe from any thread.
/// </summary>
internal abstract class KqueueCalls
{
    internal abstract KeventLayout Layout { get; }

    internal abstract SyscallResult Create();

    /// <summary>Whether a wait would find something.</summary>
    internal abstract bool IsReadable(int kqueue);

    internal abstract void Close(int kqueue);

    /// <summary>A number of the system's own, in words that all understand.</summary>
    internal abstract Errno ToErrno(long number);

    /// <summary>Makes changes, all of them with EV_RECEIPT: each is answered in <paramref name="receipts"/>.</summary>
    internal SyscallResult Change(int kqueue, ReadOnlySpan<byte> changes, Span<byte> receipts)
    {
        SyscallResult result;
        while ((result = KeventOnce(kqueue, changes, receipts, timeoutNanoseconds: 0)).IsInterrupted) { }
        return result;
    }

    /// <summary>Waits; a negative timeout is for ever. A signal ends the wait with 0 events.</summary>
    internal SyscallResult Wait(int kqueue, Span<byte> events, long timeoutNanoseconds)
    {
        SyscallResult result = KeventOnce(kqueue, [], events, timeoutNanoseconds);
        return result.IsInterrupted ? SyscallResult.Success(0) : result;
    }

    /// <summary>One kevent(2): both lists are as long as their memory.</summary>
    protected internal abstract SyscallResult KeventOnce(
        int kqueue, ReadOnlySpan<byte> changes, Span<byte> events, long timeoutNanoseconds);
}
