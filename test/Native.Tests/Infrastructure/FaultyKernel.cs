using System.Collections.Concurrent;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// The real kernel on a bad day, by a seeded plan: signals, spurious EAGAIN, short transfers, and errors that a test asks for.
/// </summary>
/// <remarks>
/// A kernel that says EAGAIN, or moves less than it could, announces later that there is more. So does this one: it re-arms the
/// registration, which raises a new edge. Without that the injection would invent hangs that no kernel has.
/// </remarks>
internal sealed class FaultyKernel(int seed) : ObservedKernel
{
    private readonly Random _random = new(seed);
    private readonly ConcurrentDictionary<int, (int Epoll, uint Events, ulong Data)> _registrations = new();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Errno>> _demanded = new();
    private int _injected;

    /// <summary>The share of calls that a signal interrupts first.</summary>
    internal double Interruptions { get; init; }

    /// <summary>The share of transfers that answer EAGAIN although they could move something.</summary>
    internal double SpuriousWouldBlocks { get; init; }

    /// <summary>The share of transfers that move less than they could.</summary>
    internal double ShortTransfers { get; init; }

    /// <summary>Faults injected so far: a test that finds 0 has tested nothing.</summary>
    internal int Injected => Volatile.Read(ref _injected);

    /// <summary>The next calls of this kind (<c>Accept4Once</c>...) fail with these errors, in this order.</summary>
    internal void FailNext(string call, params ReadOnlySpan<Errno> errors)
    {
        ConcurrentQueue<Errno> queue = _demanded.GetOrAdd(call, static _ => new());
        foreach (Errno error in errors)
        {
            queue.Enqueue(error);
        }
    }

    protected internal override SyscallResult EpollCreateOnce(int flags) =>
        Fault(nameof(EpollCreateOnce)) ?? base.EpollCreateOnce(flags);

    protected internal override SyscallResult EventFdOnce(uint initial, int flags) =>
        Fault(nameof(EventFdOnce)) ?? base.EventFdOnce(initial, flags);

    protected internal override SyscallResult OpenOnce(string path, int flags, uint mode) =>
        Fault(nameof(OpenOnce)) ?? base.OpenOnce(path, flags, mode);

    protected internal override SyscallResult SocketOnce(int domain, int type, int protocol) =>
        Fault(nameof(SocketOnce)) ?? base.SocketOnce(domain, type, protocol);

    protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
    {
        addressLength = 0;
        return Fault(nameof(Accept4Once)) ?? base.Accept4Once(fd, address, out addressLength, flags);
    }

    protected internal override SyscallResult EpollWaitOnce(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds) =>
        Fault(nameof(EpollWaitOnce)) ?? base.EpollWaitOnce(epfd, buffer, maxEvents, timeoutMilliseconds);

    protected internal override SyscallResult EpollPwait2Once(int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds) =>
        Fault(nameof(EpollPwait2Once)) ?? base.EpollPwait2Once(epfd, buffer, maxEvents, timeoutNanoseconds);

    protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data)
    {
        if (Fault(nameof(EpollCtlOnce)) is { } fault)
        {
            return fault;
        }

        if (op == LibC.EPOLL_CTL_DEL)
        {
            _registrations.TryRemove(fd, out _);
        }

        SyscallResult result = base.EpollCtlOnce(epfd, op, fd, events, data);
        if (op == LibC.EPOLL_CTL_ADD && result.IsSuccess)
        {
            _registrations[fd] = (epfd, events, data);
        }

        return result;
    }

    protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer) =>
        FaultInTransfer(nameof(ReadOnce), fd) ?? Rearmed(fd, base.ReadOnce(fd, buffer[..Shortened(fd, buffer.Length)]), buffer.Length);

    protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer) =>
        FaultInTransfer(nameof(WriteOnce), fd) ?? Rearmed(fd, base.WriteOnce(fd, buffer[..Shortened(fd, buffer.Length)]), buffer.Length);

    protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags) =>
        FaultInTransfer(nameof(RecvOnce), fd)
        ?? Rearmed(fd, base.RecvOnce(fd, buffer[..Shortened(fd, buffer.Length)], flags), buffer.Length);

    protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags) =>
        FaultInTransfer(nameof(SendOnce), fd)
        ?? Rearmed(fd, base.SendOnce(fd, buffer[..Shortened(fd, buffer.Length)], flags), buffer.Length);

    private SyscallResult? Fault(string call)
    {
        if (_demanded.TryGetValue(call, out ConcurrentQueue<Errno>? errors) && errors.TryDequeue(out Errno error))
        {
            Interlocked.Increment(ref _injected);
            return SyscallResult.Failure(error);
        }

        return Strikes(Interruptions) ? SyscallResult.Failure(Errno.EINTR) : null;
    }

    private SyscallResult? FaultInTransfer(string call, int fd)
    {
        if (Fault(call) is { } fault)
        {
            return fault;
        }

        if (!IsPolledFile(fd) || !Strikes(SpuriousWouldBlocks))
        {
            return null;
        }

        Rearm(fd);
        return SyscallResult.Failure(Errno.EAGAIN);
    }

    // Not the poller's own eventfd: it takes eight bytes or none, and EAGAIN from it would mean that its counter is full.
    private bool IsPolledFile(int fd) =>
        _registrations.TryGetValue(fd, out var registration) && registration.Data != PollCookie.WakeUp.Word;

    private int Shortened(int fd, int length)
    {
        if (length < 2 || !IsPolledFile(fd) || !Strikes(ShortTransfers))
        {
            return length;
        }

        lock (_random)
        {
            return _random.Next(1, length);
        }
    }

    private SyscallResult Rearmed(int fd, SyscallResult result, int length)
    {
        if (ShortTransfers > 0 && result.IsSuccess && result.Value < length)
        {
            Rearm(fd);
        }

        return result;
    }

    private void Rearm(int fd)
    {
        if (_registrations.TryGetValue(fd, out var registration))
        {
            base.EpollCtlOnce(registration.Epoll, TestLibC.EPOLL_CTL_MOD, fd, registration.Events, registration.Data);
        }
    }

    private bool Strikes(double share)
    {
        if (share <= 0)
        {
            return false;
        }

        lock (_random)
        {
            if (_random.NextDouble() >= share)
            {
                return false;
            }
        }

        Interlocked.Increment(ref _injected);
        return true;
    }
}
