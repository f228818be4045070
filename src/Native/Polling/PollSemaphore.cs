namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The one-shot binary semaphore of one direction of a descriptor. At most one waiter at a time.
/// </summary>
/// <remarks>
/// <code>
///  state       meaning                         who leaves it, and to where
///  ---------   -----------------------------   ----------------------------------------------------------
///  Nil         nothing known                   event: Ready (latched)      waiter: Announced
///  Ready       an edge nobody used yet         waiter or reset: Nil        event: stays (edges collapse)
///  Announced   a waiter is about to park       event: Ready                cancel: Nil       (it is not handed out:
///              and looks for a reason not to   waiter: Waiting, or Nil      it is still running, and will see)
///  Waiting     a waiter is parked              event: Ready, hands it out  cancel: Nil, hands it out
/// </code>
/// Whoever moves the word away from Waiting owns the waiter and must schedule it: exactly one party can. The waiter's last touch is
/// Announced → Waiting. Until then nobody can hand it out, so it cannot be run, ended and parked again under its own feet.
/// <para>Every transition is an <see cref="Interlocked"/> operation, hence a full fence. The waiter announces itself and then looks at
/// the info word. The canceller publishes the info word, with a full fence of its own, and then looks here. With anything weaker both can
/// miss each other.</para>
/// Mutable struct: a field, never copied.
/// </remarks>
internal struct PollSemaphore
{
    internal const int Nil = 0;
    internal const int Ready = 1;
    internal const int Announced = 2;
    internal const int Waiting = 3;

    private int _state;

    // Written by the one waiter before it commits itself to Waiting, read by the one party that takes Waiting away.
    private PollWaiter? _waiter;

    internal readonly int State => Volatile.Read(in _state);

    /// <summary>Forgets a latched edge. Only before the first system call of an operation, never between EAGAIN and waiting.</summary>
    internal void Reset() => Interlocked.Exchange(ref _state, Nil);

    /// <summary>Lets go of the last waiter. Only while nobody is parked and nobody can be: the slot is being freed.</summary>
    internal void Forget() => _waiter = null;

    /// <summary>
    /// Announces a waiter, or uses up a latched edge and returns false: retry the system call. After true, look at the info word, and then
    /// either <see cref="TryCommit"/> or <see cref="Withdraw"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">Another waiter is parked in this direction.</exception>
    internal bool TryAnnounce()
    {
        while (true)
        {
            if (Interlocked.CompareExchange(ref _state, Nil, Ready) == Ready)
            {
                return false;
            }

            int old = Interlocked.CompareExchange(ref _state, Announced, Nil);
            if (old == Nil)
            {
                return true;
            }

            if (old != Ready)
            {
                throw new InvalidOperationException("Another operation is already waiting in this direction of the descriptor.");
            }
        }
    }

    /// <summary>Parks the announced waiter. False: an event or a canceller came first, and it is not parked.</summary>
    internal bool TryCommit(PollWaiter waiter)
    {
        _waiter = waiter;
        return Interlocked.CompareExchange(ref _state, Waiting, Announced) == Announced;
    }

    /// <summary>The announced waiter changes its mind. An edge that came in the meantime stays latched.</summary>
    internal void Withdraw() => Interlocked.CompareExchange(ref _state, Nil, Announced);

    /// <summary>The woken waiter collects what woke it. True: an event; false: a cancellation.</summary>
    internal bool Collect()
    {
        int old = Interlocked.Exchange(ref _state, Nil);
        return old == Ready;
    }

    /// <summary>
    /// An event (<paramref name="ready"/>) or a cancellation. Returns the waiter the caller must now schedule, if one was parked. What the
    /// waiter must find when it looks was published before this call, with a full fence in between: the read below is none.
    /// </summary>
    internal PollWaiter? Unblock(bool ready)
    {
        int target = ready ? Ready : Nil;
        while (true)
        {
            int old = Volatile.Read(ref _state);
            if (old == Ready || old == target)
            {
                return null;
            }

            if (Interlocked.CompareExchange(ref _state, target, old) == old)
            {
                // Read after the CAS. The waiter is stable now: its operation holds the direction's lock and is not scheduled yet.
                return old == Waiting ? _waiter : null;
            }
        }
    }
}
