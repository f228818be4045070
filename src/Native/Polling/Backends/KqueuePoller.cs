using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The backend on kqueue(2): both filters of a descriptor, edge-triggered (<c>EV_CLEAR</c>), once for its whole life. So nothing is ever
/// armed. Not chosen anywhere yet: the other system calls of its systems are missing. It has been run over a simulated kernel only.
/// </summary>
internal sealed class KqueuePoller : Poller
{
    private const int FiltersOfFile = 2;

    private readonly KqueueCalls _calls;
    private readonly SystemCalls _systemCalls;
    private readonly KeventLayout _layout;
    private readonly int _kqueue;

    // Where there is no EVFILT_USER; otherwise -1.
    private readonly int _pipeRead = -1;
    private readonly int _pipeWrite = -1;

    /// <exception cref="IOException">The kernel refuses a kqueue, or a pipe.</exception>
    internal KqueuePoller(KqueueCalls calls, SystemCalls systemCalls, DeadlineHeap deadlines)
        : base(deadlines)
    {
        _calls = calls;
        _systemCalls = systemCalls;
        _layout = calls.Layout;
        SyscallResult created = calls.Create();
        if (created.IsError)
        {
            throw SystemErrors.ToIOException(created.Errno, "kqueue");
        }

        _kqueue = created.Value;
        if (_layout.UserFilter is null)
        {
            SyscallResult pipe = systemCalls.Pipe2(out _pipeRead, out _pipeWrite, LibC.O_NONBLOCK);
            if (pipe.IsError)
            {
                DisposeBackend();
                throw SystemErrors.ToIOException(pipe.Errno, "pipe2");
            }
        }

        Kevent signal = _layout.UserFilter is { } user
            ? new Kevent(0, user, Kevent.EV_ADD | Kevent.EV_CLEAR | Kevent.EV_RECEIPT, 0, 0, PollCookie.WakeUp.Word)
            : Add(_pipeRead, _layout.ReadFilter, PollCookie.WakeUp);
        if (Change(signal) is var error && error != Errno.Success)
        {
            DisposeBackend();
            throw SystemErrors.ToIOException(error, "kevent");
        }
    }

    internal override string Name => "kqueue";

    internal override bool HasEvents => _calls.IsReadable(_kqueue);

    internal override PollEventBatch CreateBatch(int capacity) => new KqueueBatch(capacity, _layout.Size);

    internal override void Wait(PollEventBatch batch, long timeoutNanoseconds)
    {
        var kqueueBatch = (KqueueBatch)batch;
        kqueueBatch.Clear();
        Span<byte> events = kqueueBatch.Bytes.AsSpan(0, kqueueBatch.Limit * _layout.Size);
        SyscallResult fetched = _calls.Wait(_kqueue, events, timeoutNanoseconds);
        if (fetched.IsError)
        {
            throw SystemErrors.ToIOException(fetched.Errno, "kevent");
        }

        for (int i = 0; i < fetched.Value; i++)
        {
            Kevent told = _layout.Read(events, i);
            var cookie = new PollCookie(told.UserData);
            if (cookie == PollCookie.WakeUp)
            {
                ConsumeSignal();
                continue;
            }

            // A stale event may be taken for a pipe's by mistake: it is dropped where it is dispatched.
            bool isPipe = Table.Find(cookie.Slot)?.Registration is KqueuePipe;
            kqueueBatch.Add(new PollEvent(cookie, Translate(told, isPipe)));
        }
    }

    /// <summary>
    /// <c>EV_EOF</c> is told with what is unread, and never again: it is a hang-up for good. A pipe whose reader has gone tells so through
    /// either filter, depending on the system.
    /// </summary>
    internal PollReadiness Translate(in Kevent told, bool isPipe)
    {
        const PollReadiness Both = PollReadiness.Readable | PollReadiness.Writable;
        const PollReadiness Over = Both | PollReadiness.Hangup | PollReadiness.Gone;
        if ((told.Flags & Kevent.EV_ERROR) != 0)
        {
            return told.Flags == Kevent.EV_ERROR ? Over | PollReadiness.ErrorOnly : Over;
        }

        bool isEnd = (told.Flags & Kevent.EV_EOF) != 0;
        if (told.Filter == _layout.WriteFilter)
        {
            return isEnd ? Over : PollReadiness.Writable;
        }

        if (!isEnd)
        {
            return PollReadiness.Readable;
        }

        return isPipe || told.FilterFlags != 0 ? Over : PollReadiness.Readable | PollReadiness.Hangup;
    }

    protected override void DisposeBackend()
    {
        _calls.Close(_kqueue);
        if (_pipeRead >= 0)
        {
            _systemCalls.Close(_pipeRead);
            _systemCalls.Close(_pipeWrite);
        }
    }

    protected override Errno Register(int fd, PollDescriptor descriptor, PollInterest interest)
    {
        // kqueue takes regular files, and has its own idea of when they are ready.
        FileStatus status = default;
        if (interest == PollInterest.Everything
            && _systemCalls.GetStatus(fd, out status).IsSuccess
            && status.Type is LibC.S_IFREG or LibC.S_IFDIR or LibC.S_IFBLK)
        {
            return Errno.EPERM;
        }

        if (status.Type == LibC.S_IFIFO)
        {
            descriptor.Registration = KqueuePipe.Instance;
        }

        PollCookie cookie = descriptor.Cookie;
        Errno read = Change(Add(fd, _layout.ReadFilter, cookie), Add(fd, _layout.WriteFilter, cookie), out Errno write);

        // One end of a pipe may have one filter only.
        return read == Errno.Success || write == Errno.Success ? Errno.Success : read;
    }

    // Both before the number is closed: a filter that is left behind would be the next file's. That one is not there is no matter.
    protected override void Unregister(int fd, PollDescriptor descriptor, bool keepsNumber)
    {
        if (keepsNumber)
        {
            Change(Delete(fd, _layout.ReadFilter), Delete(fd, _layout.WriteFilter), out _);
        }
    }

    protected override void Signal()
    {
        if (_layout.UserFilter is { } user)
        {
            Change(new Kevent(0, user, Kevent.EV_RECEIPT, Kevent.NOTE_TRIGGER, 0, PollCookie.WakeUp.Word));
        }
        else
        {
            _systemCalls.Write(_pipeWrite, [0]);
        }
    }

    private static Kevent Add(int fd, int filter, PollCookie cookie) =>
        new((ulong)fd, filter, Kevent.EV_ADD | Kevent.EV_CLEAR | Kevent.EV_RECEIPT, 0, 0, cookie.Word);

    private static Kevent Delete(int fd, int filter) => new((ulong)fd, filter, Kevent.EV_DELETE | Kevent.EV_RECEIPT, 0, 0, 0);

    private void ConsumeSignal()
    {
        if (_pipeRead >= 0)
        {
            Span<byte> taken = stackalloc byte[1];
            _systemCalls.Read(_pipeRead, taken);
        }

        OnSignalConsumed();
    }

    private Errno Change(in Kevent change)
    {
        Span<byte> changes = stackalloc byte[_layout.Size];
        Span<byte> receipts = stackalloc byte[_layout.Size];
        _layout.Write(changes, 0, change);
        SyscallResult changed = _calls.Change(_kqueue, changes, receipts);
        return changed.IsError ? changed.Errno : ErrnoOf(receipts, 0);
    }

    private Errno Change(in Kevent first, in Kevent second, out Errno secondError)
    {
        Span<byte> changes = stackalloc byte[FiltersOfFile * _layout.Size];
        Span<byte> receipts = stackalloc byte[FiltersOfFile * _layout.Size];
        _layout.Write(changes, 0, first);
        _layout.Write(changes, 1, second);
        SyscallResult changed = _calls.Change(_kqueue, changes, receipts);
        secondError = changed.IsError ? changed.Errno : ErrnoOf(receipts, 1);
        return changed.IsError ? changed.Errno : ErrnoOf(receipts, 0);
    }

    // A receipt is an EV_ERROR with the change's errno, or with 0.
    private Errno ErrnoOf(ReadOnlySpan<byte> receipts, int index) => _calls.ToErrno(_layout.Read(receipts, index).Data);

    private sealed class KqueueBatch(int capacity, int eventSize) : PollEventBatch(capacity)
    {
        internal byte[] Bytes { get; } = GC.AllocateArray<byte>(checked(capacity * eventSize), pinned: true);
    }

    // Tells pipes from the rest; there is nothing else to keep.
    private sealed class KqueuePipe : PollRegistration
    {
        internal static readonly KqueuePipe Instance = new();

        internal override void Arm(PollMode mode)
        {
        }
    }
}
