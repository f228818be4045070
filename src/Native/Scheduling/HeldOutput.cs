namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Output that its owner has promised to send in a moment, when the code that wrote it lets go of its thread. As a turn it sends what is
/// held, and does nothing if that has been done: it may run at any time, on any thread, also twice at once.
/// </summary>
/// <remarks>
/// Whoever holds output is in one of two lists, so that the promise is kept also if that code blocks, computes, or awaits something else:
/// <code>
///   list                        entered by                     left when
///   -------------------------   ----------------------------   ------------------------------------------------------------
///   of a worker                 code inside the worker's turn  the turn ends; the monitor hands the processor on; the turn has
///                               (<see cref="Worker.TryHold"/>)             held something for 0.2 ms at a look of the monitor
///   of a group                  code on any other thread       a look of the monitor finds that nothing is held, or that what is
///                               (<see cref="WorkerGroup.TryHoldUntil"/>)       held is due: then a worker or the thread pool sends it
/// </code>
/// An instance is in one list at most.
/// </remarks>
internal abstract class HeldOutput : ListedTurn<HeldOutput>, IThreadPoolWorkItem
{
    /// <summary>
    /// For a group's list: when to send it, on the monotonic clock; 0: nothing is held. Written by the owner before it enters the list,
    /// with a full fence between; the monitor takes an entry off before it looks once more. One of them sees the other.
    /// </summary>
    internal virtual long DueAt => 0;

    void IThreadPoolWorkItem.Execute() => Worker.RunGuarded(this);
}
