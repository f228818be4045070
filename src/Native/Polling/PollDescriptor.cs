using System.Diagnostics;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// One slot of the descriptor table: the poller's half of an open file. Slots are never freed, so a late event or a late
/// timer always meets *some* descriptor, and its fdseq tells whether it is the one that was meant.
/// </summary>
/// <remarks>
/// Life of a slot: <see cref="Open"/> → registered → waits and events → <see cref="Evict"/> → last user leaves →
/// unregistered → <see cref="Free"/> (fdseq moves on) → close(2) → <see cref="Open"/> …
/// <para>
/// Ordering that everything rests on: a canceller publishes the info word first and looks at the semaphore second; a waiter
/// announces itself on the semaphore first and looks at the info word second. Both steps are full fences on both sides.
/// </para>
/// </remarks>
internal sealed class PollDescriptor
{
    // Guards the deadlines (all their fields) and every write of Closing, ReadExpired and WriteExpired.
    // Never held during I/O, epoll_ctl or anybody else's code. The deadline heap's lock may be taken inside it.
    private readonly Lock _lock = new();
    private readonly DeadlineHeap _heap;

    // Created with the first deadline, and then there for good, because their sequences must never start again. Most descriptors, such as
    // those of Kestrel's connections, never have one. Guarded by _lock.
    private PollDeadline? _readDeadline;
    private PollDeadline? _writeDeadline;

    // PollInfo's word. Closing and the expiry bits change under _lock, the event bits without it; all by CAS.
    private ulong _info;

    private PollSemaphore _readSemaphore;
    private PollSemaphore _writeSemaphore;

    // Set before registration, cleared when freed; read by whoever dispatches events.
    private PollWaiter? _hangupWaiter;

    // Null where the backend needs none, which is all that arming costs there. Written by the backend before the kernel knows of the
    // descriptor, and by whoever frees the slot.
    private PollRegistration? _registration;

    internal PollDescriptor(uint slot, DeadlineHeap heap)
    {
        Slot = slot;
        _heap = heap;
        _info = PollInfo.Create(fdseq: 1, PollInfo.Closing).Word;
    }

    internal uint Slot { get; }

    internal PollInfo Info => new(Volatile.Read(ref _info));

    internal PollCookie Cookie => PollCookie.Create(Info.Fdseq, Slot);

    /// <summary>What the backend keeps of this incarnation, if it keeps anything.</summary>
    internal PollRegistration? Registration
    {
        get => Volatile.Read(ref _registration);
        set => Volatile.Write(ref _registration, value);
    }

    /// <summary>Sticky: a hang-up or an error was reported for this incarnation.</summary>
    internal bool HangupSeen => Info.Has(PollInfo.HangupSeen);

    /// <summary>Sticky: urgent data was reported for this incarnation.</summary>
    internal bool UrgentSeen => Info.Has(PollInfo.UrgentSeen);

    /// <summary>Sticky: the end of both directions, or an error, was reported for this incarnation.</summary>
    internal bool GoneSeen => Info.Has(PollInfo.GoneSeen);

    /// <summary>Begins a new incarnation. The slot is exclusively the caller's until it is registered.</summary>
    internal void Open(PollWaiter? hangupWaiter)
    {
        lock (_lock)
        {
            Debug.Assert(_readSemaphore.State is PollSemaphore.Nil or PollSemaphore.Ready, "a reader waits on a free slot");
            Debug.Assert(_writeSemaphore.State is PollSemaphore.Nil or PollSemaphore.Ready, "a writer waits on a free slot");
            _readSemaphore.Reset();
            _writeSemaphore.Reset();
            _hangupWaiter = hangupWaiter;
            Forget(_readDeadline);
            Forget(_writeDeadline);
            Interlocked.Exchange(ref _info, PollInfo.Create(Info.Fdseq, 0).Word);
        }
    }

    /// <summary>
    /// Ends the incarnation: the fdseq moves on and is published in the same store, so that an event which is about to
    /// set a bit finds another identity from here on, not only after the next <see cref="Open"/>.
    /// </summary>
    internal void Free()
    {
        lock (_lock)
        {
            Debug.Assert(Info.Has(PollInfo.Closing), "a slot is freed only after it was evicted");
            uint next = Info.Fdseq + 1;
            Interlocked.Exchange(ref _info, PollInfo.Create(next == 0 ? 1 : next, PollInfo.Closing).Word);
            _hangupWaiter = null;
            _registration = null;
            _readSemaphore.Forget();
            _writeSemaphore.Forget();
        }
    }

    /// <summary>
    /// An event arrived for the incarnation <paramref name="fdseq"/>. False: it was meant for an earlier one and was dropped.
    /// </summary>
    internal bool OnEvent(uint fdseq, PollReadiness readiness, ReadyList ready)
    {
        PollInfo before;
        PollWaiter? hangupWaiter;
        do
        {
            before = Info;
            if (before.Fdseq != fdseq)
            {
                return false;
            }

            // Between the look and the swap: that the swap succeeds proves that it is this incarnation's.
            hangupWaiter = Volatile.Read(ref _hangupWaiter);
        }
        while (!TryApplyEvent(before, readiness));

        // A close and reuse between the CAS and here gives the new incarnation a spurious wake-up; every waiter retries its
        // system call, so that is all it costs.
        PollWaiter? reader = null;
        if ((readiness & PollReadiness.Readable) != 0)
        {
            reader = _readSemaphore.Unblock(ready: true);
            ready.Add(reader);
        }

        if ((readiness & PollReadiness.Writable) != 0)
        {
            ready.Add(_writeSemaphore.Unblock(ready: true));
        }

        // A reader finds out itself. Two waiters of one event would call a second worker for nothing.
        if (reader is null && (readiness & PollReadiness.Readable) != 0)
        {
            if ((readiness & PollReadiness.Hangup) != 0 && !before.Has(PollInfo.HangupSeen))
            {
                ready.Add(hangupWaiter);
            }
            else
            {
                ready.Unread = hangupWaiter;
            }
        }

        return true;
    }

    /// <summary>
    /// One attempt to record an event on the word that the identity check saw. Fails when anything, the identity included,
    /// has changed since. Separate so that a test can stand between the look and the swap.
    /// </summary>
    internal bool TryApplyEvent(PollInfo observed, PollReadiness readiness)
    {
        ulong after = observed.AfterEvent(readiness).Word;
        return after == observed.Word
            ? Volatile.Read(ref _info) == after
            : Interlocked.CompareExchange(ref _info, after, observed.Word) == observed.Word;
    }

    /// <summary>Starts an operation: reports what it must fail with, or forgets a stale edge and returns Ready.</summary>
    internal PollResult Prepare(PollMode mode)
    {
        PollResult result = Info.Check(mode);
        if (result == PollResult.Ready)
        {
            Semaphore(mode).Reset();
        }

        return result;
    }

    /// <summary>
    /// Parks the waiter. Pending: it will be handed out exactly once. Anything else: it is not parked; Ready means that an edge
    /// came in the meantime and the system call must be retried.
    /// </summary>
    internal PollResult BeginWait(PollMode mode, PollWaiter waiter)
    {
        ref PollSemaphore semaphore = ref Semaphore(mode);
        if (!semaphore.TryAnnounce())
        {
            return PollResult.Ready;
        }

        PollResult result = Info.Check(mode);
        if (result != PollResult.Ready)
        {
            semaphore.Withdraw();
            return result;
        }

        // An event is latched from the announcement on. After the commit it would be too late: the slot may be another's by then.
        Registration?.Arm(mode);
        if (semaphore.TryCommit(waiter))
        {
            // Nothing of the waiter, nor of this slot, may be touched any more: it may be running, or over.
            return PollResult.Pending;
        }

        // An event came in between, or a canceller, who has said why.
        return semaphore.Collect() ? PollResult.Ready : Info.Check(mode);
    }

    /// <summary>A woken waiter's first call: why it runs. Readiness outranks a deadline that passed at the same time.</summary>
    internal PollResult EndWait(PollMode mode)
    {
        bool readinessCame = Semaphore(mode).Collect();
        PollResult result = Info.Check(mode);
        if (result == PollResult.Closing)
        {
            return result;
        }

        // A deadline that was moved between the wake-up and now wakes for nothing: retry the call and park again.
        return readinessCame ? PollResult.Ready : result;
    }

    /// <summary>
    /// A spurious edge: the parked waiter, or the next one to park, retries its system call and looks at its flags. Latched like
    /// any edge, so that a canceller who sets a flag and then calls this cannot be missed by a waiter that is about to park.
    /// </summary>
    internal PollWaiter? Wake(PollMode mode)
    {
        // The caller's flag may have been written with less than a full fence.
        Interlocked.MemoryBarrier();
        return Semaphore(mode).Unblock(ready: true);
    }

    /// <summary>Marks the descriptor closed, stops its timers, releases both waiters. Call once per incarnation.</summary>
    internal WokenWaiters Evict()
    {
        lock (_lock)
        {
            Update(set: PollInfo.Closing, clear: 0);
            Forget(_readDeadline);
            Forget(_writeDeadline);
            return new WokenWaiters
            {
                Reader = _readSemaphore.Unblock(ready: false),
                Writer = _writeSemaphore.Unblock(ready: false),
            };
        }
    }

    /// <summary>
    /// Sets the deadline of one direction: a point on the monotonic clock, <see cref="PollDeadline.None"/>, or
    /// <see cref="PollDeadline.Expired"/>, which fails operations at once and releases the waiter.
    /// </summary>
    /// <param name="mode">The direction.</param>
    /// <param name="deadline">The new deadline.</param>
    /// <param name="waiter">The waiter to schedule, if one was released.</param>
    /// <returns>True when the heap's earliest entry moved: a sleeping poller may have to be woken.</returns>
    internal bool SetDeadline(PollMode mode, long deadline, out PollWaiter? waiter)
    {
        waiter = null;
        ulong expired = ExpiredFlag(mode);
        bool earliestMoved = false;
        lock (_lock)
        {
            if (Info.Has(PollInfo.Closing))
            {
                return false;
            }

            PollDeadline side = Deadline(mode);
            side.Value = deadline;
            if (deadline > 0 && (side.ArmedAt == PollDeadline.NotArmed || deadline < side.ArmedAt))
            {
                side.ArmedAt = deadline;
                earliestMoved = _heap.Arm(side, deadline, ++side.Seq);
            }

            if (deadline < 0)
            {
                Update(set: expired, clear: 0);
                waiter = Semaphore(mode).Unblock(ready: false);
            }
            else
            {
                Update(set: 0, clear: expired);
            }
        }

        return earliestMoved;
    }

    /// <summary>The deadline as it is now: as it was set, or <see cref="PollDeadline.Expired"/> once it has passed.</summary>
    internal long GetDeadline(PollMode mode)
    {
        lock (_lock)
        {
            return (mode == PollMode.Read ? _readDeadline : _writeDeadline)?.Value ?? PollDeadline.None;
        }
    }

    /// <summary>A heap entry of this descriptor came due. Does nothing when the sequence has moved on.</summary>
    internal PollWaiter? OnDeadline(PollDeadline side, uint sequence, long now, out DeadlineOutcome outcome)
    {
        outcome = DeadlineOutcome.Void;
        lock (_lock)
        {
            if (side.Seq != sequence)
            {
                return null;
            }

            side.ArmedAt = PollDeadline.NotArmed;
            if (side.Value <= 0)
            {
                return null;
            }

            if (side.Value > now)
            {
                // Lazy re-arm: the deadline was moved later after this entry was armed. Whoever fires timers looks
                // afterwards whether somebody's sleep covers it.
                outcome = DeadlineOutcome.Rearmed;
                side.ArmedAt = side.Value;
                _heap.Arm(side, side.Value, ++side.Seq);
                return null;
            }

            outcome = DeadlineOutcome.Passed;
            side.Value = PollDeadline.Expired;
            Update(set: ExpiredFlag(side.Mode), clear: 0);
            return Semaphore(side.Mode).Unblock(ready: false);
        }
    }

    private static ulong ExpiredFlag(PollMode mode) => mode == PollMode.Read ? PollInfo.ReadExpired : PollInfo.WriteExpired;

    private ref PollSemaphore Semaphore(PollMode mode)
    {
        if (mode == PollMode.Read)
        {
            return ref _readSemaphore;
        }

        return ref _writeSemaphore;
    }

    // Under _lock. The loop is against event bits, which change without it.
    private void Update(ulong set, ulong clear)
    {
        PollInfo before;
        do
        {
            before = Info;
        }
        while (Interlocked.CompareExchange(ref _info, before.With(set, clear).Word, before.Word) != before.Word);
    }

    // Under _lock.
    private PollDeadline Deadline(PollMode mode)
    {
        ref PollDeadline? side = ref mode == PollMode.Read ? ref _readDeadline : ref _writeDeadline;
        return side ??= new PollDeadline(this, mode);
    }

    // Under _lock.
    private void Forget(PollDeadline? side)
    {
        if (side is null)
        {
            return;
        }

        side.Seq++;
        side.Value = PollDeadline.None;
        if (side.ArmedAt != PollDeadline.NotArmed)
        {
            side.ArmedAt = PollDeadline.NotArmed;
            _heap.Disarm(side);
        }
    }
}
