namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Puts work into the thread pool's queue. The pool may want a thread more for it, and throws if the system has none: the work is in its
/// queue all the same, and is run by the threads that there are. Without any it stays there, since the pool does not ask for one again.
/// On a thread of ours that exception would be the end of the process. Thread-safe.
/// </summary>
internal static class ThreadPoolQueue
{
    internal static void Add(IThreadPoolWorkItem item)
    {
        try
        {
            ThreadPool.UnsafeQueueUserWorkItem(item, preferLocal: false);
        }
        catch (Exception e) when (IsRefusal(e))
        {
            // See above.
        }
    }

    internal static void Add<TState>(Action<TState> callback, TState state)
    {
        try
        {
            ThreadPool.UnsafeQueueUserWorkItem(callback, state, preferLocal: false);
        }
        catch (Exception e) when (IsRefusal(e))
        {
            // See above.
        }
    }

    /// <summary>Is this what .NET throws when the system gives it no thread?</summary>
    internal static bool IsRefusal(Exception exception) => exception is OutOfMemoryException or ThreadStartException;
}
