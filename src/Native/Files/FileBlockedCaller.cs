using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// A thread that waits for readiness itself: what is parked for it just wakes it up. Reusable; whoever holds the direction's lock uses it.
/// </summary>
internal sealed class FileBlockedCaller : Turn
{
    // Guards _woken. A monitor, and not a Lock: it is also what the thread sleeps on.
    private readonly object _gate = new();
    private bool _woken;

    /// <summary>Sleeps until an event, a deadline or a close has taken this off the semaphore. Once for each time that it was
    /// parked.</summary>
    internal void Wait()
    {
        lock (_gate)
        {
            while (!_woken)
            {
                Monitor.Wait(_gate);
            }

            _woken = false;
        }
    }

    internal override void Run()
    {
        lock (_gate)
        {
            _woken = true;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Cannot happen: waking up is all that there is to do.</summary>
    internal override void OnUnhandledException(Exception exception) => Run();
}
