using System.Diagnostics;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The operating system's readiness notification, edge-triggered. A backend supplies six things:
/// <list type="bullet">
/// <item><see cref="Register"/>: watch a descriptor for both directions and for hang-ups, once, for its whole life.</item>
/// <item><see cref="PollRegistration.Arm"/>: report a direction once more, if the kernel is not edge-triggered itself. What it needs
/// for that it puts into the slot when it registers the descriptor.</item>
/// <item><see cref="Unregister"/>: stop watching it, before it is closed.</item>
/// <item><see cref="Wait"/>: fetch events, for at most a given time. Any number of threads may wait at once; each event
/// goes to one of them.</item>
/// <item><see cref="Signal"/>: make one waiting thread return.</item>
/// <item><see cref="CreateBatch"/>: the buffer a waiting thread needs.</item>
/// </list>
/// Fetching and dispatching are separate steps, because between them anything may happen to the descriptors:
/// <see cref="Dispatch"/> is where a stale event is told from a current one. Nothing above this class knows the backend.
/// </summary>
internal abstract class Poller : IDisposable
{
    // 1 from the moment somebody decides to signal until a waiter has taken the signal in. Coalesces wake-ups.
    private int _wakePending;
    private long _wakeups;

    // One for the owner and one for each open descriptor. The backend's own descriptors are closed by whoever leaves last:
    // closed earlier, their numbers could be reused, and a late epoll_ctl would reach a stranger.
    private int _users = 1;

    // Set by the owner when no thread waits any more: what is registered from then on would never hear of an event.
    private volatile bool _ownerLeft;

    protected Poller(DeadlineHeap deadlines)
    {
        Deadlines = deadlines;
        Table = new PollDescriptorTable(deadlines);
    }

    /// <summary>The backend's name, as shown to people.</summary>
    internal abstract string Name { get; }

    internal DeadlineHeap Deadlines { get; }

    internal PollDescriptorTable Table { get; }

    /// <summary>How many wake-ups were really signalled; those that coalesced are not counted.</summary>
    internal long Wakeups => Volatile.Read(ref _wakeups);

    /// <summary>
    /// Takes a slot for the descriptor and registers it. <paramref name="slot"/> is set before the kernel knows of it, because the first
    /// event may be dispatched on another thread before this returns. On failure the slot is free again and the field null.
    /// </summary>
    internal Errno Open(int fd, PollWaiter? hangupWaiter, ref PollDescriptor? slot, PollInterest interest = PollInterest.Everything)
    {
        ObjectDisposedException.ThrowIf(!TryEnter(), this);
        PollDescriptor descriptor = Table.Allocate(hangupWaiter);
        Volatile.Write(ref slot, descriptor);
        Errno error = Register(fd, descriptor, interest);
        bool tooLate = _ownerLeft;
        if (error == Errno.Success && !tooLate)
        {
            return Errno.Success;
        }

        Volatile.Write(ref slot, null);
        descriptor.Evict();
        if (error == Errno.Success)
        {
            Unregister(fd, descriptor, keepsNumber: true);
        }

        Table.Release(descriptor);
        Leave();
        return tooLate
            ? throw new ObjectDisposedException(nameof(Poller), "The runtime was disposed: nothing waits for events any more.")
            : error;
    }

    /// <summary>Unregisters an evicted descriptor and frees its slot. The caller closes the file afterwards, not before.</summary>
    /// <param name="fd">Its number.</param>
    /// <param name="descriptor">Its slot.</param>
    /// <param name="keepsNumber">False: the number is a stranger's by now, whose registration stays.</param>
    internal void Close(int fd, PollDescriptor descriptor, bool keepsNumber = true)
    {
        Debug.Assert(descriptor.Info.Has(PollInfo.Closing), "evict before closing");
        Unregister(fd, descriptor, keepsNumber);
        Table.Release(descriptor);
        Leave();
    }

    /// <summary>Dispatches one fetched event. False: it was stale and was dropped.</summary>
    internal bool Dispatch(in PollEvent pollEvent, ReadyList ready)
    {
        PollCookie cookie = pollEvent.Cookie;
        PollDescriptor? descriptor = Table.Find(cookie.Slot);
        return descriptor is not null && descriptor.OnEvent(cookie.Fdseq, pollEvent.Readiness, ready);
    }

    /// <summary>
    /// Makes one thread return from <see cref="Wait"/>, now or when it waits next. Publish the work first: the thread takes the
    /// signal in, and then looks for work. Calls in between collapse into one signal. Any thread.
    /// </summary>
    internal void Wake()
    {
        if (Interlocked.CompareExchange(ref _wakePending, 1, 0) == 0 && TryEnter())
        {
            Interlocked.Increment(ref _wakeups);
            Signal();
            Leave();
        }
    }

    // Rounded up: rounded down, the last fraction of a millisecond before a deadline would be a busy loop.
    internal static int ToMilliseconds(long nanoseconds)
    {
        if (nanoseconds <= 0)
        {
            return nanoseconds < 0 ? -1 : 0;
        }

        long milliseconds = ((nanoseconds - 1) / MonotonicClock.NanosecondsPerMillisecond) + 1;
        return (int)Math.Min(milliseconds, int.MaxValue);
    }

    internal abstract PollEventBatch CreateBatch(int capacity);

    /// <summary>Are there events that nobody has fetched? For whoever does not fetch events himself, until <see cref="Dispose"/>.</summary>
    internal abstract bool HasEvents { get; }

    /// <summary>Does it cost next to nothing to ask for events that are not there? Otherwise nobody asks again and again
    /// (<see cref="Scheduling.BusyPolling"/>).</summary>
    internal virtual bool IsCheapToAsk => true;

    /// <summary>Waits for events: negative nanoseconds without limit, 0 not at all. May return early with none.</summary>
    internal abstract void Wait(PollEventBatch batch, long timeoutNanoseconds);

    /// <summary>The owner is done: no thread waits any more. Open descriptors may still be closed afterwards. Call once.</summary>
    public void Dispose()
    {
        _ownerLeft = true;
        Leave();
    }

    /// <summary>Closes the backend's own descriptors. Nobody uses the poller any more.</summary>
    protected abstract void DisposeBackend();

    /// <summary>
    /// Begins to watch a descriptor. Its events carry the slot's cookie of now. EPERM: it can never be waited for.
    /// </summary>
    protected abstract Errno Register(int fd, PollDescriptor descriptor, PollInterest interest);

    /// <summary>
    /// Stops watching a descriptor, evicted and still open. Afterwards the kernel is not asked about the number for this slot any more;
    /// events that have been fetched may still come. <paramref name="keepsNumber"/>: see <see cref="Close"/>.
    /// </summary>
    protected abstract void Unregister(int fd, PollDescriptor descriptor, bool keepsNumber);

    protected abstract void Signal();

    /// <summary>
    /// The backend has consumed the signal. After, not before: it would also consume that of a wake-up between the two, which would remain
    /// pending for ever, so that nobody signalled again. This way, such a wake-up does not signal, and need not: the caller looks at the
    /// queues. A full fence, so that the caller's look at the work queues comes after it.
    /// </summary>
    protected void OnSignalConsumed() => Interlocked.Exchange(ref _wakePending, 0);

    private bool TryEnter()
    {
        int users = Volatile.Read(ref _users);
        while (users != 0)
        {
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
            {
                return true;
            }

            users = seen;
        }

        return false;
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            DisposeBackend();
        }
    }
}
