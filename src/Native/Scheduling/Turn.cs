using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// One continuation, run on a worker until it returns. The only thing that is ever parked on a descriptor.
/// An instance is scheduled at most once at a time: by whoever took it off a semaphore, or by its owner.
/// </summary>
internal abstract class Turn : PollWaiter
{
    /// <summary>
    /// Has the turn left something to its end that must not wait if it blocks? The monitor asks it, from its own thread, while the turn runs.
    /// </summary>
    internal virtual bool HasDeferredWork => false;

    /// <summary>Runs on a worker thread, with the default execution context. May run the app inline.</summary>
    internal abstract void Run();

    /// <summary>
    /// The turn has blocked, or takes too long, and another worker, which calls this, has taken over everything else: it does what the turn
    /// would have done at its end. The turn is still running, or may have ended since.
    /// </summary>
    internal virtual void DoDeferredWork()
    {
    }

    /// <summary>
    /// <see cref="Run"/> threw. The worker goes on; whatever this turn served must be ended here. What this throws is lost.
    /// </summary>
    internal abstract void OnUnhandledException(Exception exception);
}
