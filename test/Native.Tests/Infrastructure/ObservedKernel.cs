using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// The real kernel, watched: counts calls, knows which descriptors the engine has open, and notes every use of one that it has
/// closed, which in production could be a stranger's by then.
/// </summary>
internal class ObservedKernel : SystemCalls
{
    private readonly ConcurrentDictionary<string, int> _calls = new();
    private readonly ConcurrentDictionary<int, string> _open = new();
    private readonly ConcurrentQueue<string> _violations = new();
    private int _wouldBlockSends;

    /// <summary>Descriptors made by the engine, or lent to it, that it has not closed.</summary>
    internal ICollection<int> OpenDescriptors => _open.Keys;

    /// <summary>Uses after close, and closes of what was not open.</summary>
    internal IReadOnlyCollection<string> Violations => _violations;

    /// <summary>EAGAIN answers to writes and sends.</summary>
    internal int WouldBlockSends => Volatile.Read(ref _wouldBlockSends);

    /// <summary>Waits for events of either kind.</summary>
    internal int Waits => CountOf(nameof(EpollWaitOnce)) + CountOf(nameof(EpollPwait2Once));

    internal int CountOf(string call) => _calls.GetValueOrDefault(call);

    /// <summary>A descriptor that the test opened and the engine will close.</summary>
    internal int Lend(int fd)
    {
        _open[fd] = "lent";
        return fd;
    }

    protected internal override SyscallResult EpollCreateOnce(int flags) => Opened(base.EpollCreateOnce(flags));

    protected internal override SyscallResult EventFdOnce(uint initial, int flags) => Opened(base.EventFdOnce(initial, flags));

    protected internal override SyscallResult OpenOnce(string path, int flags, uint mode) => Opened(base.OpenOnce(path, flags, mode));

    protected internal override SyscallResult SocketOnce(int domain, int type, int protocol) =>
        Opened(base.SocketOnce(domain, type, protocol));

    protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
    {
        Used(fd);
        return Opened(base.Accept4Once(fd, address, out addressLength, flags));
    }

    protected internal override SyscallResult Pipe2Once(out int read, out int write, int flags)
    {
        SyscallResult result = base.Pipe2Once(out read, out write, flags);
        if (Opened(result, read).IsSuccess)
        {
            _open[write] = nameof(Pipe2Once);
        }

        return result;
    }

    protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data)
    {
        Used(epfd);
        Used(fd);
        return base.EpollCtlOnce(epfd, op, fd, events, data);
    }

    protected internal override SyscallResult EpollWaitOnce(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds)
    {
        Used(epfd);
        return base.EpollWaitOnce(epfd, buffer, maxEvents, timeoutMilliseconds);
    }

    protected internal override SyscallResult EpollPwait2Once(int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds)
    {
        Used(epfd);
        return base.EpollPwait2Once(epfd, buffer, maxEvents, timeoutNanoseconds);
    }

    protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer)
    {
        Used(fd);
        return base.ReadOnce(fd, buffer);
    }

    protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer)
    {
        Used(fd);
        return Sent(base.WriteOnce(fd, buffer));
    }

    protected internal override SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers)
    {
        Used(fd);
        return base.ReadvOnce(fd, buffers);
    }

    protected internal override SyscallResult WritevOnce(int fd, ReadOnlySpan<iovec> buffers)
    {
        Used(fd);
        return Sent(base.WritevOnce(fd, buffers));
    }

    protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags)
    {
        Used(fd);
        return base.RecvOnce(fd, buffer, flags);
    }

    protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags)
    {
        Used(fd);
        return Sent(base.SendOnce(fd, buffer, flags));
    }

    protected internal override SyscallResult SendMsgOnce(int fd, ReadOnlySpan<iovec> buffers, int flags)
    {
        Used(fd);
        return Sent(base.SendMsgOnce(fd, buffers, flags));
    }

    protected internal override SyscallResult ShutdownOnce(int fd, int how)
    {
        Used(fd);
        return base.ShutdownOnce(fd, how);
    }

    protected internal override SyscallResult SetLingerOnce(int fd, bool on, int seconds)
    {
        Used(fd);
        return base.SetLingerOnce(fd, on, seconds);
    }

    protected internal override SyscallResult CloseOnce(int fd)
    {
        Used(fd);

        // Before the call: from the moment the kernel has closed it, the number may be given out again.
        _open.TryRemove(fd, out _);
        return base.CloseOnce(fd);
    }

    private void Used(int fd, [CallerMemberName] string call = "")
    {
        _calls.AddOrUpdate(call, 1, static (_, count) => count + 1);
        if (!_open.ContainsKey(fd))
        {
            _violations.Enqueue($"{call} on {fd}, which is not open");
        }
    }

    private SyscallResult Opened(SyscallResult result, [CallerMemberName] string call = "") => Opened(result, result.Value, call);

    private SyscallResult Opened(SyscallResult result, int fd, [CallerMemberName] string call = "")
    {
        _calls.AddOrUpdate(call, 1, static (_, count) => count + 1);
        if (result.IsSuccess)
        {
            _open[fd] = call;
        }

        return result;
    }

    private SyscallResult Sent(SyscallResult result)
    {
        if (result.WouldBlock)
        {
            Interlocked.Increment(ref _wouldBlockSends);
        }

        return result;
    }
}
