using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>
/// An open file descriptor: its number, its lifetime, and its registration with a group's poller. Once it owns a number, nothing else
/// closes it. Thread-safe.
/// </summary>
/// <remarks>
/// Closing: mark closed → release both waiters → the last user leaves → unregister → free the slot → close(2). Every system call
/// on the number is made by somebody who holds a reference, so it cannot reach a stranger who got the number next.
/// </remarks>
internal abstract class Descriptor
{
    private const int Open = 0;
    private const int Destroyed = 1;

    // The slot, from registration on. Null before, and for good when the file cannot be polled.
    private PollDescriptor? _poll;

    // Interlocked only, with _closed: either the destroyer sees the completion source, or its maker sees this.
    private int _state = Open;
    private TaskCompletionSource? _closed;

    protected Descriptor(int fd, WorkerGroup group, SystemCalls systemCalls)
    {
        Fd = fd;
        Group = group;
        SystemCalls = systemCalls;
    }

    internal WorkerGroup Group { get; }

    internal int Fd { get; }

    internal bool IsClosed => Lifetime.IsClosed;

    internal bool IsRegistered => Poll is not null;

    /// <summary>Sticky: a hang-up or an error was reported.</summary>
    internal bool HangupSeen => Poll is { HangupSeen: true };

    internal DescriptorLifetime Lifetime { get; } = new();

    internal SystemCalls SystemCalls { get; }

    internal PollDescriptor? Poll => Volatile.Read(ref _poll);

    /// <summary>
    /// Registers with the poller. Once, by the maker, before anybody else can close the descriptor. Success, or why the kernel refuses;
    /// EBADF when it is closed already.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The runtime was disposed.</exception>
    internal Errno Register(PollWaiter? hangupWaiter, PollInterest interest = PollInterest.Everything)
    {
        if (!Lifetime.TryAddReference())
        {
            return Errno.EBADF;
        }

        try
        {
            return Group.Poller.Open(Fd, hangupWaiter, ref _poll, interest);
        }
        finally
        {
            ReleaseReference();
        }
    }

    /// <summary>Closes. Waits for no waiter: they are released, close(2) follows the last user. Idempotent, any thread.</summary>
    internal void Close()
    {
        if (!Lifetime.TryClose())
        {
            return;
        }

        if (Poll is { } poll)
        {
            Resume(poll.Evict());
        }

        ReleaseReference();
    }

    /// <summary>Closes, and completes after close(2).</summary>
    internal Task CloseAsync()
    {
        Close();
        TaskCompletionSource created = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource closed = Interlocked.CompareExchange(ref _closed, created, null) ?? created;
        if (Interlocked.CompareExchange(ref _state, Open, Open) == Destroyed)
        {
            closed.TrySetResult();
        }

        return closed.Task;
    }

    internal void ReleaseReference()
    {
        if (Lifetime.Release())
        {
            Destroy();
        }
    }

    internal void Unlock(PollMode mode)
    {
        if (Lifetime.Unlock(mode))
        {
            Destroy();
        }
    }

    /// <summary>
    /// Parks a waiter for a caller that makes its own system calls. Ready: it is not parked, retry the call. Pending: it will be
    /// scheduled exactly once, and must begin with <see cref="EndWait"/>. Anything else: it is not parked, and this is why.
    /// </summary>
    /// <exception cref="InvalidOperationException">Another waiter is parked in this direction, or it was never registered.</exception>
    protected PollResult BeginWait(PollMode mode, Turn waiter)
    {
        switch (Lifetime.TryLock(mode))
        {
            case DescriptorLifetime.LockResult.Closed:
                return PollResult.Closing;
            case DescriptorLifetime.LockResult.Busy:
                throw new InvalidOperationException("Another operation is already waiting in this direction of the socket.");
        }

        PollDescriptor? poll = Poll;
        if (poll is null)
        {
            Unlock(mode);
            throw new InvalidOperationException("The socket is not registered with a poller yet.");
        }

        PollResult result = poll.BeginWait(mode, waiter);

        // Pending: the lock, hence the slot, now belongs to the waiter, which may be running already.
        if (result != PollResult.Pending)
        {
            Unlock(mode);
        }

        return result;
    }

    /// <summary>A scheduled waiter's first call.</summary>
    protected PollResult EndWait(PollMode mode)
    {
        PollResult result = Poll!.EndWait(mode);
        Unlock(mode);
        return result;
    }

    /// <summary>Makes the waiter of this direction, parked or about to park, retry its system call. Any thread.</summary>
    protected void Wake(PollMode mode)
    {
        if (Lifetime.TryAddReference())
        {
            Group.Schedule(Poll?.Wake(mode));
            ReleaseReference();
        }
    }

    /// <summary>Runs the waiters that a close released.</summary>
    protected virtual void Resume(WokenWaiters woken) => Group.Schedule(woken);

    /// <summary>
    /// Is the number still the descriptor's? Asked once, when nobody uses it any more, before <see cref="CloseNumber"/>. No: a stranger has
    /// closed it, against the rule, and it may have been given out again since.
    /// </summary>
    protected virtual bool KeepsNumber() => true;

    /// <summary>Nobody uses the descriptor any more, and the poller has forgotten it.</summary>
    protected virtual void CloseNumber() => SystemCalls.Close(Fd);

    private void Destroy()
    {
        bool keepsNumber = KeepsNumber();
        if (Poll is { } poll)
        {
            Group.Poller.Close(Fd, poll, keepsNumber);
        }

        CloseNumber();
        Interlocked.Exchange(ref _state, Destroyed);
        Volatile.Read(ref _closed)?.TrySetResult();
    }
}
