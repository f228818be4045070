namespace KestrelNetpoll.Native.Polling;

/// <summary>The waiters released by one batch of events, in event order. Owned by one worker; not thread-safe.</summary>
internal sealed class ReadyList
{
    private PollWaiter?[] _waiters;

    internal ReadyList(int capacity) => _waiters = new PollWaiter?[capacity];

    internal int Count { get; private set; }

    /// <summary>
    /// The hang-up waiter of the descriptor whose event was dispatched last, if that was about input that nobody waits for. For whoever
    /// dispatches, after each event; no waiter to run.
    /// </summary>
    internal PollWaiter? Unread { get; set; }

    internal PollWaiter? TakeUnread()
    {
        PollWaiter? unread = Unread;
        if (unread is not null)
        {
            Unread = null;
        }

        return unread;
    }

    internal void Add(PollWaiter? waiter)
    {
        if (waiter is null)
        {
            return;
        }

        if (Count == _waiters.Length)
        {
            Array.Resize(ref _waiters, _waiters.Length * 2);
        }

        _waiters[Count++] = waiter;
    }

    /// <summary>Takes the waiter out, so that the list keeps nothing alive after the batch.</summary>
    internal PollWaiter Take(int index)
    {
        PollWaiter waiter = _waiters[index]!;
        _waiters[index] = null;
        return waiter;
    }

    internal void Clear()
    {
        Array.Clear(_waiters, 0, Count);
        Count = 0;
    }
}
