using System.Collections.Concurrent;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>The kernel, except that accept4 fails as told.</summary>
internal sealed class FailingAcceptKernel : SystemCalls
{
    private readonly ConcurrentQueue<Errno> _nextAccepts = new();
    private volatile Errno _always;
    private int _acceptCalls;

    /// <summary>While true, accepting fails with EMFILE.</summary>
    internal bool Full
    {
        get => _always != Errno.Success;
        set => _always = value ? Errno.EMFILE : Errno.Success;
    }

    /// <summary>Until <see cref="Full"/> becomes false, accepting fails with this.</summary>
    internal void FailAlways(Errno error) => _always = error;

    internal int AcceptCalls => Volatile.Read(ref _acceptCalls);

    internal void FailNextAccepts(params Errno[] errors)
    {
        foreach (Errno error in errors)
        {
            _nextAccepts.Enqueue(error);
        }
    }

    internal bool AllFailuresHappened => _nextAccepts.IsEmpty;

    protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
    {
        Interlocked.Increment(ref _acceptCalls);
        addressLength = 0;
        if (_always is not Errno.Success and var always)
        {
            return SyscallResult.Failure(always);
        }

        return _nextAccepts.TryDequeue(out Errno error)
            ? SyscallResult.Failure(error)
            : base.Accept4Once(fd, address, out addressLength, flags);
    }
}
