using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

/// <summary>
/// kqueue(2) as its man pages have it, over real descriptors and an epoll instance for each kqueue. The structs at its boundary are those of
/// the system that it stands for, so that what is given to it could be given to that system.
/// </summary>
/// <remarks>
/// EV_CLEAR only. A change that is not known is EINVAL, one of a filter that is not there ENOENT, in the numbers of BSD. With its read
/// edges come write edges, which are spurious: both filters of a descriptor are one registration here.
/// </remarks>
internal sealed class SimulatedKqueue(KeventLayout layout) : KqueueCalls, IDisposable
{
    private const int BsdEnoent = 2;
    private const int BsdEbadf = 9;
    private const int BsdEinval = 22;
    private const ulong User = ulong.MaxValue;
    private const ulong More = ulong.MaxValue - 1;

    private readonly SystemCalls _systemCalls = SystemCalls.Instance;
    private readonly EpollEventLayout _epollLayout = EpollEventLayout.Current;

    // Guards everything below.
    private readonly Lock _lock = new();
    private readonly Dictionary<(ulong Ident, int Filter), ulong> _knotes = [];

    // What did not fit into the list of whoever fetched it. _more is readable while there is something.
    private readonly Queue<Kevent> _left = new();
    private int _epoll = -1;
    private int _trigger = -1;
    private int _more = -1;

    internal override KeventLayout Layout => layout;

    internal override SyscallResult Create()
    {
        _epoll = _systemCalls.EpollCreate().Value;
        _trigger = _systemCalls.EventFd(0, LibC.EFD_NONBLOCK).Value;
        _more = _systemCalls.EventFd(0, LibC.EFD_NONBLOCK).Value;
        _systemCalls.EpollCtl(_epoll, LibC.EPOLL_CTL_ADD, _trigger, LibC.EPOLLIN | LibC.EPOLLET, User);
        _systemCalls.EpollCtl(_epoll, LibC.EPOLL_CTL_ADD, _more, LibC.EPOLLIN, More);
        return SyscallResult.Success(_epoll);
    }

    internal override bool IsReadable(int kqueue) => _systemCalls.PollReadable(kqueue) is { IsSuccess: true, Value: > 0 };

    internal override void Close(int kqueue) => Dispose();

    internal override Errno ToErrno(long number) => (Errno)number;

    public void Dispose()
    {
        foreach (int fd in (int[])[_epoll, _trigger, _more])
        {
            if (fd >= 0)
            {
                _systemCalls.Close(fd);
            }
        }

        (_epoll, _trigger, _more) = (-1, -1, -1);
    }

    protected internal override SyscallResult KeventOnce(
        int kqueue, ReadOnlySpan<byte> changes, Span<byte> events, long timeoutNanoseconds)
    {
        Assert.Equal(_epoll, kqueue);
        Assert.Equal(0, changes.Length % layout.Size);
        int receipts = changes.Length / layout.Size;
        for (int i = 0; i < receipts; i++)
        {
            Kevent change = layout.Read(changes, i);
            Assert.NotEqual(0u, change.Flags & Kevent.EV_RECEIPT);
            int error;
            lock (_lock)
            {
                error = Change(change);
            }

            layout.Write(events, i, change with { Flags = Kevent.EV_ERROR, Data = error });
        }

        return receipts != 0 ? SyscallResult.Success(receipts) : Fetch(events, timeoutNanoseconds);
    }

    private int Change(in Kevent change)
    {
        (ulong, int) key = (change.Ident, change.Filter);
        if (change.Filter == layout.UserFilter)
        {
            if ((change.Flags & Kevent.EV_ADD) != 0)
            {
                _knotes[key] = change.UserData;
            }

            if ((change.FilterFlags & Kevent.NOTE_TRIGGER) != 0)
            {
                _systemCalls.Write(_trigger, BitConverter.GetBytes(1ul));
            }

            return _knotes.ContainsKey(key) ? 0 : BsdEnoent;
        }

        if (change.Filter != layout.ReadFilter && change.Filter != layout.WriteFilter)
        {
            return BsdEinval;
        }

        var fd = (int)change.Ident;
        bool wasKnown = IsKnown(change.Ident);
        if ((change.Flags & Kevent.EV_DELETE) != 0)
        {
            bool removed = _knotes.Remove(key);
            if (removed && !IsKnown(change.Ident))
            {
                _systemCalls.EpollCtl(_epoll, LibC.EPOLL_CTL_DEL, fd, 0, 0);
            }

            return removed ? 0 : BsdEnoent;
        }

        if ((change.Flags & (Kevent.EV_ADD | Kevent.EV_CLEAR)) != (Kevent.EV_ADD | Kevent.EV_CLEAR))
        {
            return BsdEinval;
        }

        // Known to the list before the first event can come.
        _knotes[key] = change.UserData;
        const uint Interest = LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLET;
        SyscallResult changed = _systemCalls.EpollCtl(
            _epoll, wasKnown ? TestLibC.EPOLL_CTL_MOD : LibC.EPOLL_CTL_ADD, fd, Interest, change.Ident);
        if (changed.Errno == Errno.ENOENT)
        {
            // The number was closed meanwhile, which takes the knotes with it, and is another file's.
            changed = _systemCalls.EpollCtl(_epoll, LibC.EPOLL_CTL_ADD, fd, Interest, change.Ident);
        }

        if (changed.IsError)
        {
            _knotes.Remove(key);
            return BsdEbadf;
        }

        return 0;
    }

    private bool IsKnown(ulong ident) =>
        _knotes.ContainsKey((ident, layout.ReadFilter)) || _knotes.ContainsKey((ident, layout.WriteFilter));

    private SyscallResult Fetch(Span<byte> events, long timeoutNanoseconds)
    {
        int room = events.Length / layout.Size;
        int count = TakeLeft(events, room);
        if (count == room)
        {
            return SyscallResult.Success(count);
        }

        var buffer = new EpollEventBuffer(room, _epollLayout);
        SyscallResult fetched = _systemCalls.EpollPwait2(_epoll, buffer, room - count, count != 0 ? 0 : timeoutNanoseconds);
        if (fetched.IsError)
        {
            return fetched;
        }

        lock (_lock)
        {
            for (int i = 0; i < fetched.Value; i++)
            {
                Tell(buffer.Data(i), buffer.Events(i));
            }
        }

        return SyscallResult.Success(count + TakeLeft(events[(count * layout.Size)..], room - count));
    }

    private int TakeLeft(Span<byte> events, int room)
    {
        lock (_lock)
        {
            int count = 0;
            while (count < room && _left.TryDequeue(out Kevent kevent))
            {
                // EV_DELETE takes with it what is pending.
                if (_knotes.TryGetValue((kevent.Ident, kevent.Filter), out ulong userData) && userData == kevent.UserData)
                {
                    layout.Write(events, count++, kevent);
                }
            }

            Span<byte> counter = stackalloc byte[sizeof(ulong)];
            _systemCalls.Read(_more, counter);
            if (_left.Count != 0)
            {
                _systemCalls.Write(_more, BitConverter.GetBytes(1ul));
            }

            return count;
        }
    }

    // Under the lock.
    private void Tell(ulong ident, uint events)
    {
        if (ident == More)
        {
            return;
        }

        if (ident == User)
        {
            Span<byte> counter = stackalloc byte[sizeof(ulong)];
            _systemCalls.Read(_trigger, counter);
            Queue(new Kevent(0, layout.UserFilter!.Value, Kevent.EV_CLEAR, 0, 0, 0));
            return;
        }

        bool isOver = (events & (LibC.EPOLLHUP | LibC.EPOLLERR)) != 0;
        uint error = 0;
        if (isOver && _systemCalls.GetSockOpt((int)ident, LibC.SOL_SOCKET, LibC.SO_TYPE, out _).IsSuccess)
        {
            // Not taken, only looked at: whoever reads is to get it.
            error = (uint)Errno.ECONNRESET;
        }

        if (events == LibC.EPOLLERR)
        {
            Queue(new Kevent(ident, layout.ReadFilter, Kevent.EV_ERROR, 0, (long)Errno.EIO, 0));
            return;
        }

        if ((events & (LibC.EPOLLIN | LibC.EPOLLRDHUP)) != 0 || isOver)
        {
            uint end = isOver || (events & LibC.EPOLLRDHUP) != 0 ? Kevent.EV_EOF : 0;
            Queue(new Kevent(ident, layout.ReadFilter, Kevent.EV_CLEAR | end, error, 0, 0));
        }

        if ((events & LibC.EPOLLOUT) != 0 || isOver)
        {
            Queue(new Kevent(ident, layout.WriteFilter, Kevent.EV_CLEAR | (isOver ? Kevent.EV_EOF : 0), error, 0, 0));
        }
    }

    private void Queue(Kevent kevent)
    {
        if (_knotes.TryGetValue((kevent.Ident, kevent.Filter), out ulong userData))
        {
            _left.Enqueue(kevent with { UserData = userData });
        }
    }
}
