using System.Buffers.Binary;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The epoll backend: one registration per descriptor for its whole life (<c>EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET</c>, and
/// <c>EPOLLPRI</c> for connections), never modified. Holds nothing but epoll.
/// </summary>
internal sealed class EpollPoller : Poller
{
    internal const string BackendName = "epoll";

    private const uint Interest = LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLET;
    private const uint SocketInterest = Interest | LibC.EPOLLPRI;

    // A listening socket that several epoll instances watch. RDHUP cannot be combined with it; a listener has no peer.
    private const uint SharedInterest = LibC.EPOLLIN | LibC.EPOLLET | LibC.EPOLLEXCLUSIVE;
    private const uint ReadableMask = LibC.EPOLLIN | LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR;
    private const uint HangupMask = LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR;
    private const uint GoneMask = LibC.EPOLLHUP | LibC.EPOLLERR;

    // RDHUP is not in it: a peer that stopped sending does not make room in the send buffer.
    private const uint WritableMask = LibC.EPOLLOUT | LibC.EPOLLHUP | LibC.EPOLLERR;

    private readonly SystemCalls _systemCalls;
    private readonly EpollEventLayout _layout;
    private readonly int _epoll;
    private readonly int _eventFd;

    // Set once by the first thread whose epoll_pwait2 is refused (kernel before 5.11, or an old seccomp profile).
    private volatile bool _millisecondsOnly;

    /// <exception cref="IOException">The kernel refuses an epoll instance or an eventfd.</exception>
    internal EpollPoller(SystemCalls systemCalls, DeadlineHeap deadlines, EpollEventLayout layout)
        : base(deadlines)
    {
        _systemCalls = systemCalls;
        _layout = layout;
        SyscallResult epoll = systemCalls.EpollCreate();
        if (epoll.IsError)
        {
            throw SystemErrors.ToIOException(epoll.Errno, "epoll_create1");
        }

        _epoll = epoll.Value;
        SyscallResult eventFd = systemCalls.EventFd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK);
        if (eventFd.IsError)
        {
            systemCalls.Close(_epoll);
            throw SystemErrors.ToIOException(eventFd.Errno, "eventfd");
        }

        _eventFd = eventFd.Value;

        // Edge-triggered: several threads wait on this instance, and a signal is meant for one of them. Level-triggered, it
        // would wake one after the other until the first has read it. Each signal is a new write, hence a new edge.
        SyscallResult added = systemCalls.EpollCtl(
            _epoll, LibC.EPOLL_CTL_ADD, _eventFd, LibC.EPOLLIN | LibC.EPOLLET, PollCookie.WakeUp.Word);
        if (added.IsError)
        {
            DisposeBackend();
            throw SystemErrors.ToIOException(added.Errno, "epoll_ctl");
        }
    }

    internal override string Name => BackendName;

    // An epoll instance is itself a descriptor that is readable while it has events.
    internal override bool HasEvents => _systemCalls.PollReadable(_epoll) is { IsSuccess: true, Value: > 0 };

    internal override PollEventBatch CreateBatch(int capacity) => new EpollBatch(capacity, _layout);

    internal override void Wait(PollEventBatch batch, long timeoutNanoseconds)
    {
        var epollBatch = (EpollBatch)batch;
        epollBatch.Clear();
        SyscallResult fetched = WaitForEvents(epollBatch.Buffer, epollBatch.Limit, timeoutNanoseconds);
        if (fetched.IsError)
        {
            // Only misuse of the descriptor can get here (EBADF, EINVAL); going on would spin.
            throw SystemErrors.ToIOException(fetched.Errno, "epoll_wait");
        }

        for (int i = 0; i < fetched.Value; i++)
        {
            var cookie = new PollCookie(epollBatch.Buffer.Data(i));
            if (cookie == PollCookie.WakeUp)
            {
                ConsumeSignal();
                continue;
            }

            PollReadiness readiness = Translate(epollBatch.Buffer.Events(i));
            if (readiness != PollReadiness.None)
            {
                epollBatch.Add(new PollEvent(cookie, readiness));
            }
        }
    }

    protected override void DisposeBackend()
    {
        _systemCalls.Close(_eventFd);
        _systemCalls.Close(_epoll);
    }

    internal static PollReadiness Translate(uint events)
    {
        PollReadiness readiness = PollReadiness.None;
        if ((events & ReadableMask) != 0)
        {
            readiness |= PollReadiness.Readable;
        }

        if ((events & WritableMask) != 0)
        {
            readiness |= PollReadiness.Writable;
        }

        if ((events & HangupMask) != 0)
        {
            readiness |= PollReadiness.Hangup;
            readiness |= (events & GoneMask) != 0 ? PollReadiness.Gone : 0;
        }

        if ((events & LibC.EPOLLPRI) != 0)
        {
            readiness |= PollReadiness.Urgent;
        }

        // Equality: an error beside anything else belongs to an ordinary failed connection, whose read reports it better.
        return events == LibC.EPOLLERR ? readiness | PollReadiness.ErrorOnly : readiness;
    }

    protected override Errno Register(int fd, PollDescriptor descriptor, PollInterest interest)
    {
        uint events = interest switch
        {
            PollInterest.Socket => SocketInterest,
            PollInterest.SharedListener => SharedInterest,
            _ => Interest,
        };
        SyscallResult result = _systemCalls.EpollCtl(_epoll, LibC.EPOLL_CTL_ADD, fd, events, descriptor.Cookie.Word);
        return result.IsError ? result.Errno : Errno.Success;
    }

    // An error changes nothing: the descriptor is about to be closed, and the slot's fdseq moves on either way.
    protected override void Unregister(int fd, PollDescriptor descriptor, bool keepsNumber)
    {
        if (keepsNumber)
        {
            _systemCalls.EpollCtl(_epoll, LibC.EPOLL_CTL_DEL, fd, 0, 0);
        }
    }

    protected override void Signal()
    {
        Span<byte> one = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(one, 1);

        // EAGAIN would mean that the counter is full, hence that a signal is there already.
        _systemCalls.Write(_eventFd, one);
    }

    private void ConsumeSignal()
    {
        Span<byte> counter = stackalloc byte[sizeof(ulong)];
        _systemCalls.Read(_eventFd, counter);
        OnSignalConsumed();
    }

    private SyscallResult WaitForEvents(EpollEventBuffer buffer, int capacity, long timeoutNanoseconds)
    {
        if (timeoutNanoseconds > 0 && !_millisecondsOnly)
        {
            SyscallResult result = _systemCalls.EpollPwait2(_epoll, buffer, capacity, timeoutNanoseconds);
            if (!result.IsError || result.Errno is not (Errno.ENOSYS or Errno.EPERM))
            {
                return result;
            }

            _millisecondsOnly = true;
        }

        return _systemCalls.EpollWait(_epoll, buffer, capacity, ToMilliseconds(timeoutNanoseconds));
    }

    private sealed class EpollBatch(int capacity, EpollEventLayout layout) : PollEventBatch(capacity)
    {
        internal EpollEventBuffer Buffer { get; } = new(capacity, layout);
    }
}
