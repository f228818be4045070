using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// Hears of one file's exceptional conditions (EPOLLPRI), through an epoll instance of its own that the poller watches. Files that cannot
/// be polled for reading have them, too, and ask for nothing else.
/// </summary>
/// <remarks>
/// Some files tell of an event once, to whoever looks first (/proc/self/mounts, pressure stall triggers), and the poller looks first.
/// So nothing is parked here that could be cancelled: whatever runs this turn is an event, or the end. It is kept until somebody waits.
/// <para>
/// The instance is readable until what it tells of has been fetched. A poller that is told what is, and not what has changed, would be told
/// of urgent data that nobody receives again and again. Such a poller also looks while nothing is parked, and an event that is told once is
/// lost then. So the order is: fetch, park, and tell whoever waits last. Whoever is told looks at the file after that.
/// </para>
/// </remarks>
internal sealed class FilePriorityWatch : Descriptor
{
    private readonly string _path;
    private readonly EventTurn _turn;

    // For whoever parks: one thread at a time.
    private readonly EpollEventBuffer _fetched = new(capacity: 1, EpollEventLayout.Current);

    // Guards the fields below.
    private readonly Lock _lock = new();
    private TaskCompletionSource? _next;
    private int _waiters;

    // The file, while somebody waits: the poller knows this watch for good, and must not keep a file that nobody refers to any more.
    private FileDescriptor? _awaited;
    private bool _isPending;
    private bool _isOver;

    private FilePriorityWatch(FileDescriptor file, int epoll)
        : base(epoll, file.Group, file.SystemCalls)
    {
        _path = file.Path;
        _turn = new EventTurn(this);
    }

    /// <summary>Begins to listen. The caller holds a reference on the file.</summary>
    /// <exception cref="NotSupportedException">The kernel cannot watch the file at all.</exception>
    /// <exception cref="IOException">The kernel refuses.</exception>
    internal static FilePriorityWatch Start(FileDescriptor file)
    {
        SyscallResult epoll = file.SystemCalls.EpollCreate();
        if (epoll.IsError)
        {
            throw SystemErrors.ToIOException(epoll.Errno, "epoll_create1", file.Path);
        }

        var watch = new FilePriorityWatch(file, epoll.Value);
        try
        {
            SyscallResult added = file.SystemCalls.EpollCtl(
                epoll.Value, LibC.EPOLL_CTL_ADD, file.Fd, LibC.EPOLLPRI | LibC.EPOLLET, data: 0);
            if (added.IsError)
            {
                throw added.Errno == Errno.EPERM
                    ? new NotSupportedException($"'{file.Path}' has no exceptional conditions: the kernel cannot watch it.")
                    : SystemErrors.ToIOException(added.Errno, "epoll_ctl", file.Path);
            }

            Errno error = watch.Register(hangupWaiter: null);
            if (error != Errno.Success)
            {
                throw SystemErrors.ToIOException(error, "epoll_ctl", file.Path);
            }
        }
        catch
        {
            watch.Close();
            throw;
        }

        watch.Park(isTold: false);
        return watch;
    }

    /// <summary>Completes with the next event, or at once if there has been one since the last.</summary>
    internal async Task WaitAsync(FileDescriptor file, CancellationToken cancellationToken)
    {
        Task next;
        lock (_lock)
        {
            if (_isOver)
            {
                throw file.ClosedException();
            }

            if (_isPending)
            {
                _isPending = false;
                return;
            }

            _next ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters++;
            _awaited = file;
            next = _next.Task;
        }

        try
        {
            await next.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Leave(next);
            throw;
        }
    }

    /// <summary>Somebody has seen, by asking, what the watch may not be told of any more: whoever waits is told. Any thread.</summary>
    internal void TellWaiters()
    {
        TaskCompletionSource? next;
        lock (_lock)
        {
            next = TakeWaitersLocked();
        }

        next?.TrySetResult();
    }

    // An event that came at the same moment is whoever waits by now, or the next one's.
    private void Leave(Task next)
    {
        bool isTold;
        lock (_lock)
        {
            isTold = !ReferenceEquals(_next?.Task, next);
            if (!isTold && --_waiters == 0)
            {
                TakeWaitersLocked();
            }
        }

        if (isTold)
        {
            Tell(isOver: false);
        }
    }

    private TaskCompletionSource? TakeWaitersLocked()
    {
        TaskCompletionSource? next = _next;
        _next = null;
        _waiters = 0;
        _awaited = null;
        return next;
    }

    private void Park(bool isTold)
    {
        PollResult result;
        do
        {
            if (isTold)
            {
                Fetch();
            }

            // Pending: the next event may be told of by another thread already.
            result = BeginWait(PollMode.Read, _turn);
            bool isOver = result is not (PollResult.Pending or PollResult.Ready);
            if (isTold || isOver)
            {
                Tell(isOver);
            }

            isTold = true;
        }
        while (result == PollResult.Ready);
    }

    // What it says is known already. One file is watched, so there is one event at most.
    private void Fetch()
    {
        if (Lifetime.TryAddReference())
        {
            SystemCalls.EpollWait(Fd, _fetched, _fetched.Capacity, timeoutMilliseconds: 0);
            ReleaseReference();
        }
    }

    private void OnWoken() => Park(isTold: EndWait(PollMode.Read) == PollResult.Ready);

    private void Tell(bool isOver)
    {
        TaskCompletionSource? next;
        lock (_lock)
        {
            next = TakeWaitersLocked();
            _isOver |= isOver;
            _isPending = next is null && !_isOver;
        }

        if (isOver)
        {
            next?.TrySetException(FileDescriptor.ClosedException(_path));
        }
        else
        {
            next?.TrySetResult();
        }
    }

    private sealed class EventTurn(FilePriorityWatch watch) : Turn
    {
        internal override void Run() => watch.OnWoken();

        internal override void OnUnhandledException(Exception exception) => watch.Tell(isOver: true);
    }
}
