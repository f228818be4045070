using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// Keeps the thread pool going while the host stops. Handlers that block its threads keep everything else waiting that the stop consists
/// of: the pool starts one thread in half a second then. So it is asked, again and again, whether it still runs something. If not, it may
/// have as many threads more as it has work, up to a limit, until the last host of the process has stopped. Thread-safe.
/// </summary>
internal sealed class ThreadPoolRelief(TimeSpan patience)
{
    /// <summary>For this long the pool may leave a piece of work waiting, while the host stops.</summary>
    internal static readonly TimeSpan DefaultPatience = TimeSpan.FromMilliseconds(100);

    // A host that has been stopped need not be disposed of.
    private static readonly TimeSpan LongestStop = TimeSpan.FromMinutes(2);

    // Guards everything below. The thread waits on it, and gives the pool work under it.
    private readonly object _lock = new();
    private bool _begun;
    private bool _ended;

    // The number of the piece of work that was given to the pool last, and of the last one that it has run.
    private int _given;
    private int _run;

    /// <summary>The host begins to stop. Only the first call does something.</summary>
    internal void Begin()
    {
        lock (_lock)
        {
            if (_begun || _ended)
            {
                return;
            }

            _begun = true;
        }

        try
        {
            // The pool cannot look after itself.
            new Thread(Watch) { IsBackground = true, Name = "netpoll stop" }.UnsafeStart();
        }
        catch (Exception e) when (ThreadPoolQueue.IsRefusal(e))
        {
            // The stop takes its time, then.
        }
    }

    /// <summary>The stop is over: the pool is left as it was found, in a moment.</summary>
    internal void End()
    {
        lock (_lock)
        {
            _ended = true;
            Monitor.PulseAll(_lock);
        }
    }

    private void Watch()
    {
        ThreadPoolMinimum.OfProcess.Enter();
        long end = Environment.TickCount64 + (long)LongestStop.TotalMilliseconds;
        while (WaitForAnswer(out bool answered) && Environment.TickCount64 < end)
        {
            if (!answered)
            {
                ThreadPoolMinimum.OfProcess.Raise(ThreadPool.ThreadCount + ThreadPool.PendingWorkItemCount);
            }
        }

        ThreadPoolMinimum.OfProcess.Leave();
    }

    // False: it is over. A question that has not been answered is not asked again.
    private bool WaitForAnswer(out bool answered)
    {
        lock (_lock)
        {
            if (_run == _given)
            {
                _given++;
                ThreadPoolQueue.Add(static relief => relief.OnRun(), this);
            }

            if (!_ended)
            {
                Monitor.Wait(_lock, patience);
            }

            answered = _run == _given;
            return !_ended;
        }
    }

    private void OnRun()
    {
        // Nobody is in a hurry to hear of it.
        lock (_lock)
        {
            _run++;
        }
    }
}
