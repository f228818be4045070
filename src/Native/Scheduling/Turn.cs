using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// One continuation, run on a worker until it returns. The only thing that is ever parked on a descriptor.
/// An instance is scheduled at most once at a time: by whoever took it off a semaphore, or by its owner. (A <see cref="HeldOutput"/> may be
/// so more often.)
/// </summary>
internal abstract class Turn : PollWaiter
{
    /// <summary>Whom it serves, such as a connection, for those who report on it; null: nobody in particular. Any thread.</summary>
    internal virtual object? Subject => null;

    /// <summary>Runs on a worker thread, with the default execution context. May run the app inline.</summary>
    internal abstract void Run();

    /// <summary>
    /// <see cref="Run"/> threw. The worker goes on; whatever this turn served must be ended here. What this throws is lost.
    /// </summary>
    internal abstract void OnUnhandledException(Exception exception);
}
