using System.Collections.Concurrent;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// Entries that the thread pool handles one after the other, in their order. However long that takes, it takes one of the pool's threads,
/// and as much memory as <paramref name="capacity"/> entries. Who adds one never waits. Thread-safe.
/// </summary>
/// <param name="capacity">So many may wait, the one that is being handled included; one or two more if several threads add at
/// once.</param>
/// <param name="handle">Must not throw.</param>
/// <typeparam name="T">The entries.</typeparam>
internal sealed class Mailbox<T>(int capacity, Action<T> handle) : IThreadPoolWorkItem
{
    private readonly ConcurrentQueue<T> _entries = new();

    // Those that wait, and the one that is being handled. Interlocked.
    private int _count;

    // 1: a work item is queued, or runs. Interlocked.
    private int _isAtWork;

    /// <summary>Has everything been handled?</summary>
    internal bool IsEmpty => Volatile.Read(ref _count) == 0;

    /// <summary>False: too many wait.</summary>
    internal bool TryAdd(T entry)
    {
        if (Volatile.Read(ref _count) >= capacity)
        {
            return false;
        }

        Interlocked.Increment(ref _count);
        _entries.Enqueue(entry);
        WorkUnlessSomebodyDoes();
        return true;
    }

    void IThreadPoolWorkItem.Execute()
    {
        // One for each work item, so that foreign code has an execution context of its own, and others of the pool's queue have their turn.
        // Taken off, and not looked at: the queue would keep what somebody has looked at, and the connection with it.
        if (_entries.TryDequeue(out T? entry))
        {
            handle(entry);
            Interlocked.Decrement(ref _count);
        }

        // With a full fence: either this sees what has been added since, or who adds it sees that nobody is at work.
        Interlocked.Exchange(ref _isAtWork, 0);
        if (!_entries.IsEmpty)
        {
            WorkUnlessSomebodyDoes();
        }
    }

    private void WorkUnlessSomebodyDoes()
    {
        if (Interlocked.Exchange(ref _isAtWork, 1) == 0)
        {
            ThreadPoolQueue.Add(this);
        }
    }
}
