namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The one-shot binary semaphore of one direction of a descriptor. At most one waiter at a time.
/// </summary>
/// <remarks>
/// <code>
///  state     meaning                     who leaves it, and to where
///  -------   -------------------------   ------------------------------------------------------------
///  Nil       nothing known               event: Ready (latched)          waiter: Waiting
///  Ready     an edge nobody used yet     waiter or reset: Nil            event: stays (edges collapse)
///  Waiting   a waiter is parked          event: Ready, returns waiter    cancel: Nil, returns waiter
///                                        waiter that saw an error: Nil, not parked after all
/// </code>
/// Whoever moves the word away from Waiting owns the waiter and must schedule it: exactly one party can.
/// Every transition is an <see cref="Interlocked"/> operation, hence a full fence: the waiter publishes Waiting
/// and then looks at the info word, the canceller publishes the info word and then looks here. With anything
/// weaker both can miss each other on arm64.
/// Mutable struct: a field, never copied.
/// </remarks>
internal struct PollSemaphore
{
    internal const int Nil = 0;
    internal const int Ready = 1;
    internal const int Waiting = 2;

    private int _state;

    // Written by the one waiter before it publishes Waiting, read by the one party that takes Waiting away.
    private PollWaiter? _waiter;

    internal readonly int State => Volatile.Read(in _state);

    /// <summary>Forgets a latched edge. Only before the first system call of an operation, never between EAGAIN and waiting.</summary>
    internal void Reset() => Interlocked.Exchange(ref _state, Nil);

    /// <summary>Lets go of the last waiter. Only while nobody is parked and nobody can be: the slot is being freed.</summary>
    internal void Forget() => _waiter = null;

    /// <summary>
    /// Parks <paramref name="waiter"/> and returns true, or uses up a latched edge and returns false: retry the system call.
    /// </summary>
    /// <exception cref="InvalidOperationException">Another waiter is parked in this direction.</exception>
    internal bool TryPark(PollWaiter waiter)
    {
        while (true)
        {
            if (Interlocked.CompareExchange(ref _state, Nil, Ready) == Ready)
            {
                return false;
            }

            if (Volatile.Read(ref _state) == Waiting)
            {
                throw new InvalidOperationException("Another operation is already waiting in this direction of the descriptor.");
            }

            _waiter = waiter;
            if (Interlocked.CompareExchange(ref _state, Waiting, Nil) == Nil)
            {
                return true;
            }
        }
    }

    /// <summary>The waiter changes its mind. False: somebody else took it and will run it.</summary>
    internal bool TryUnpark() => Interlocked.CompareExchange(ref _state, Nil, Waiting) == Waiting;

    /// <summary>The woken waiter collects what woke it. True: an event; false: a cancellation.</summary>
    internal bool Collect()
    {
        int old = Interlocked.Exchange(ref _state, Nil);
        return old == Ready;
    }

    /// <summary>
    /// An event (<paramref name="ready"/>) or a cancellation. Returns the waiter the caller must now schedule, if one was parked.
    /// </summary>
    internal PollWaiter? Unblock(bool ready)
    {
        while (true)
        {
            int old = Volatile.Read(ref _state);
            if (old == Ready)
            {
                return null;
            }

            if (old == Nil)
            {
                if (!ready)
                {
                    // The full fence that Volatile.Read lacks: the info word was published before this look, and
                    // a waiter that parks from here on sees it. A CAS that changes nothing has the fence.
                    if (Interlocked.CompareExchange(ref _state, Nil, Nil) == Nil)
                    {
                        return null;
                    }

                    continue;
                }

                if (Interlocked.CompareExchange(ref _state, Ready, Nil) == Nil)
                {
                    return null;
                }

                continue;
            }

            if (Interlocked.CompareExchange(ref _state, ready ? Ready : Nil, Waiting) == Waiting)
            {
                // Read after the CAS, not before (ABA: between the two, another waiter could have been parked).
                // It is stable now: its operation holds the direction's lock and has not been scheduled yet.
                return _waiter;
            }
        }
    }
}
