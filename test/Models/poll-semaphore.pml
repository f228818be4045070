/*
 * One direction (reading) of one slot: the semaphore word with everybody who touches it. Two incarnations use the slot one after the other.
 *
 *   Waiter      the operation: tries, parks, is resumed            PollOperation, PollDescriptor.Prepare, BeginWait, EndWait
 *   Kernel      makes data or an error arrive, queues the edge     epoll
 *   Level       reports what is armed, once, while there is data   PollPoller, and every kernel that is not edge-triggered; -DARMED
 *   Dispatcher  two of them: fetch an edge, dispatch it later      EpollPoller.Wait, PollDescriptor.OnEvent
 *   Timer       fires a read deadline, perhaps a stale one         PollDescriptor.OnDeadline
 *   Canceller   sets a flag, then raises a spurious edge           PollOperation.Cancel, PollDescriptor.Wake
 *   Closer      closes, at most once per incarnation               Descriptor.Close, PollDescriptor.Evict
 *
 * Whatever may happen also may not happen, so that no lost wake-up is hidden by a close that comes to the rescue. A step is one
 * interlocked operation or one volatile read. Interlocked operations are full fences; where the code would not be sequentially consistent
 * without an explicit fence, a mutation puts the store into a buffer.
 *
 * Each BREAK_... is a mistake that the model must catch; PollSemaphoreModelTests tries them all.
 */

/*
 * Four scenarios keep the state spaces small:
 *   (none)         one incarnation, everybody; one edge, true or spurious
 *   -DREUSE        two incarnations, two dispatchers, data and errors; no timer, no canceller
 *   -DLATE_TIMER   two incarnations, one dispatcher, a timer
 *   -DARMED        two incarnations, one dispatcher, a kernel that reports nothing unless a waiter has armed it (PollRegistration.Arm)
 */
#ifdef REUSE
#define INCARNATIONS 2
#define DISPATCHERS  2
#else
#define DISPATCHERS  1
#if defined(LATE_TIMER) || defined(ARMED)
#define INCARNATIONS 2
#else
#define INCARNATIONS 1
#endif
#endif

/* PollSemaphore._state */
#define NIL       0
#define READY     1
#define ANNOUNCED 2
#define WAITING   3

/* PollInfo: the fdseq above the flags, all one word. */
#define CLOSING   1
#define ERROR     2
#define EXPIRED   4
#define INFO(fdseq, flags) (((fdseq) << 3) | (flags))
#define FDSEQ(word)        ((word) >> 3)

/* What an edge says: nothing (there is none), readable, or an error and nothing else. */
#define NO_EDGE    0
#define READABLE   1
#define ERROR_ONLY 2

/* PollResult; PollInfo.Check. TRY stands for PollResult.Ready. */
#define PENDING      0
#define TRY          1
#define CLOSED       2
#define TIMED_OUT    3
#define NOT_POLLABLE 4
#define CHECK(word) (((word) & CLOSING) -> CLOSED : (((word) & EXPIRED) -> TIMED_OUT : (((word) & ERROR) -> NOT_POLLABLE : TRY)))

/* The slot. */
byte semaphore = NIL;
byte waiter = 0;                /* PollSemaphore._waiter; an operation is named by its incarnation, 0 is null */
byte info = INFO(1, 0);
bool locked = false;            /* PollDescriptor._lock */
byte timerSequence = 0;         /* PollDeadline.Seq */

/* The descriptor that owns the slot: DescriptorLifetime's word, and whether epoll knows it. */
bool registered = true;
bool closed = false;
byte users = 0;

/* The kernel: unread data, and the edge that epoll_wait has not fetched yet. */
bool data = false;
byte edge = NO_EDGE;

/* With ARMED: the backend is to report this direction. */
bool directionArmed = false;

#ifdef ARMED
#define ARRIVE data = true
#else
#define ARRIVE data = true; edge = READABLE
#endif

/* The operation's own flag and its token's registration. */
bool cancelled = false;
bool tokenRegistered = false;
bool tokenRunning = false;

/* Not in the code: what the properties are stated with. */
byte incarnation = 1;           /* moves when the slot is freed */
byte scheduled = 0;             /* the operation that was handed out and has not been resumed yet */
bool parked = false;
byte retriesDue = 0;            /* edges latched and deadlines moved: each explains one retry of the system call */

#ifdef BREAK_NO_FENCE_IN_WAKE
bool flagInStoreBuffer = false;
#define DRAIN_STORE_BUFFER if :: flagInStoreBuffer -> cancelled = true; flagInStoreBuffer = false :: else fi
#else
#define DRAIN_STORE_BUFFER skip
#endif

/* DescriptorLifetime.TryClose and TryLock are one word, hence one step; only the incarnation's own users come here. */
#define USABLE(i) (incarnation == (i) && registered && !closed)
#define GONE(i)   (incarnation > (i) || closed)

/* WorkerGroup.Schedule of what Unblock returned. */
inline Schedule() {
    atomic {
        if
        :: taken ->
            assert(waiter == incarnation);  /* the waiter was published before it could be taken */
            assert(scheduled == 0);         /* handed out exactly once */
            scheduled = waiter;
            taken = false
        :: else
        fi
    }
}

/* PollSemaphore.Unblock. */
inline Unblock(target) {
    do
    :: atomic {
            old = semaphore;
            if
#ifdef BREAK_CANCEL_DROPS_LATCH
            :: old == target -> old = NIL; break
#else
            :: old == READY || old == target -> old = NIL; break
#endif
            :: else
            fi
        };
        atomic {
            DRAIN_STORE_BUFFER;
            if
            :: semaphore == old ->
                semaphore = target;
                taken = (old == WAITING);
                old = NIL;
                if :: target == READY -> retriesDue++ :: else fi;
                break
            :: else
            fi
        }
    od
}

/* Descriptor.ReleaseReference and Destroy, by whoever leaves last; then the slot's next owner: PollDescriptorTable.Allocate. */
inline Release() {
    atomic {
        users--;
        if
        :: closed && users == 0 ->
            registered = false; edge = NO_EDGE; directionArmed = false  /* EPOLL_CTL_DEL; what was fetched stays fetched */
        :: else -> goto stay
        fi
    };
    atomic {                                                            /* PollDescriptor.Free; then close(2) */
        !locked -> locked = true;
        assert(semaphore == NIL || semaphore == READY);
        info = INFO(FDSEQ(info) + 1, CLOSING);
        incarnation++;
        data = false
    };
    atomic { waiter = 0; locked = false };
    if
    :: incarnation <= INCARNATIONS ->
        atomic {                                                        /* PollDescriptor.Open */
            !locked -> locked = true;
            assert(semaphore == NIL || semaphore == READY);
            semaphore = NIL;
            retriesDue = 0;
            timerSequence++
        };
        atomic { info = INFO(FDSEQ(info), 0); locked = false };
        atomic { closed = false; registered = true }                    /* EPOLL_CTL_ADD */
    :: else
    fi;
stay:
    skip
}

/* PollSemaphore.Collect: sets result to TRY if it was an event. */
inline Collect() {
    atomic {
        if :: semaphore == READY -> result = TRY :: else -> result = PENDING fi;
#ifndef BREAK_COLLECT_KEEPS_LATCH
        semaphore = NIL
#else
        if :: semaphore != READY -> semaphore = NIL :: else fi
#endif
    }
}

/* PollRegistration.Arm. */
inline Arm() {
    atomic { assert(!parked); directionArmed = true }    /* a parked waiter may be running elsewhere, and the slot another's */
}

/* PollDescriptor.BeginWait. */
inline BeginWait(me) {
#ifdef BREAK_LOOK_BEFORE_ANNOUNCE
    result = CHECK(info);
    if
    :: result != TRY
    :: else ->
#endif
    /* TryAnnounce. Two CAS in the code; that they are one step here hides nothing: a latched edge between them goes around once more. */
    atomic {
        if
        :: semaphore == READY -> semaphore = NIL; announced = false
        :: semaphore == NIL -> semaphore = ANNOUNCED; announced = true
        :: else -> assert(false)            /* another waiter is parked in this direction */
        fi
    };
    if
    :: !announced -> result = TRY
    :: else ->
#ifndef BREAK_LOOK_BEFORE_ANNOUNCE
        result = CHECK(info);
#endif
        if
        :: result != TRY ->                 /* Withdraw */
#ifdef BREAK_WITHDRAW_BY_STORE
            semaphore = NIL
#else
            atomic { if :: semaphore == ANNOUNCED -> semaphore = NIL :: else fi }
#endif
        :: else ->
#ifdef ARMED
#ifndef BREAK_NO_ARM
#ifndef BREAK_ARM_AFTER_COMMIT
            Arm();
#endif
#endif
#endif
                                            /* TryCommit */
#ifndef BREAK_WAITER_AFTER_COMMIT
            waiter = me;
#endif
            atomic {
#ifdef BREAK_COMMIT_BY_STORE
                semaphore = WAITING; parked = true; result = PENDING
#else
                if
                :: semaphore == ANNOUNCED -> semaphore = WAITING; parked = true; result = PENDING
                :: else -> result = TRY
                fi
#endif
            };
#ifdef BREAK_WAITER_AFTER_COMMIT
            waiter = me;
#endif
#ifdef BREAK_ARM_AFTER_COMMIT
            Arm();
#endif
            if
            :: result == TRY ->
                Collect();
                if :: result == PENDING -> result = CHECK(info) :: else fi
            :: else
            fi
        fi;
        announced = false
    fi
#ifdef BREAK_LOOK_BEFORE_ANNOUNCE
    fi
#endif
}

/* PollDescriptor.EndWait. */
inline EndWait() {
    Collect();
    if
    :: result == TRY -> result = CHECK(info); if :: result != CLOSED -> result = TRY :: else fi
    :: else -> result = CHECK(info)
    fi
}

/* PollDescriptor.SetDeadline(None), by the owner of an operation that timed out. */
inline LiftDeadline() {
    atomic {
        !locked;
        if
        :: info & CLOSING
        :: else -> info = info & ~EXPIRED; retriesDue++
        fi
    }
}

active proctype Waiter() {
    byte me = 1, result;
    bool announced, entered;

    do
    :: me > INCARNATIONS -> break
    :: else ->
end_unopened:
        atomic {
            if
            :: USABLE(me) -> users++; entered = true
            :: GONE(me)
            fi
        };
        if
        :: entered ->
            result = CHECK(info);                                       /* Prepare */
            if :: result == TRY -> atomic { semaphore = NIL; retriesDue = 0 } :: else fi;
            if
            :: result != TRY -> goto done
            :: data -> data = false; goto done
            :: else
            fi;
            tokenRegistered = true;                                     /* PollOperation.BeginWaiting */
wait:
#ifdef BREAK_RESET_AFTER_EAGAIN
            semaphore = NIL;
#endif
            BeginWait(me);
            if
            :: result == PENDING ->
end_parked:
                atomic { scheduled == me -> scheduled = 0; parked = false };
                EndWait()
            :: else
            fi;
            if                                                          /* PollOperation.IsDone */
            :: cancelled -> goto done
            :: else
            fi;
            if
            :: result == TRY ->
                atomic { assert(retriesDue > 0); retriesDue-- };        /* an event, stale or not, costs one retry */
                if
                :: data -> data = false; goto done
                :: else -> goto wait                                    /* EAGAIN */
                fi
            :: result == TIMED_OUT ->
                if
                :: goto done
                :: LiftDeadline(); goto wait                            /* it knows that the kernel is drained: no system call */
                fi
            :: else
            fi;
done:
            atomic { !tokenRunning -> tokenRegistered = false };        /* CancellationTokenRegistration.Dispose */
            cancelled = false;
            result = PENDING;
            entered = false;
            Release()
        :: else
        fi;
        me++
    od
}

active proctype Kernel() {
end_idle:
    if
    :: atomic { incarnation == 1 && registered -> ARRIVE }
#ifdef REUSE
    :: atomic { incarnation == 1 && registered -> edge = ERROR_ONLY }
#endif
#if INCARNATIONS == 1
    :: atomic { registered -> edge = READABLE }     /* spurious, as any edge may be */
#endif
    :: true
    fi;
#if INCARNATIONS == 2
end_still_idle:
    if
    :: atomic { incarnation == 2 && registered -> ARRIVE }
    :: true
    fi
#endif
}

#ifdef ARMED
/* Asks the kernel about what is armed; each report disarms. */
active proctype Level() {
end_asleep:
    do
    :: atomic { directionArmed && data && registered -> directionArmed = false; edge = READABLE }
    od
}
#endif

active [DISPATCHERS] proctype Dispatcher() {
    byte before, fetched, fdseq, old, meant;
    bool taken;

end_fetch:
    do
    :: atomic {                                                         /* EpollPoller.Wait */
            edge != NO_EDGE -> fetched = edge; edge = NO_EDGE; fdseq = FDSEQ(info); meant = incarnation
        };
        do                                                              /* PollDescriptor.OnEvent */
        :: atomic {
                before = info;
                if
#ifndef BREAK_NO_FDSEQ_CHECK
                :: FDSEQ(before) != fdseq -> goto dropped
#endif
                :: else
                fi
            };
            atomic {                                                    /* TryApplyEvent */
                if
#ifndef BREAK_FDSEQ_CHECK_APART
                :: info == before ->
#else
                :: true ->
#endif
                    assert(meant == incarnation);                       /* a stale event never changes another's flags */
                    if
                    :: fetched == ERROR_ONLY -> info = info | ERROR
                    :: else -> info = info & ~ERROR
                    fi;
                    before = 0; fetched = NO_EDGE; fdseq = 0; meant = 0;
                    break
                :: else
                fi
            }
        od;
        Unblock(READY);
        Schedule();
dropped:
        atomic { before = 0; fetched = NO_EDGE; fdseq = 0; meant = 0 }
    od
}

#if !defined(REUSE) && !defined(ARMED)
/* Needs no reference to the descriptor: the timer may be late. Armed at most once, in either incarnation. */
active proctype Timer() {
    byte armed, meant, old;
    bool taken;

    if
    :: true
    :: atomic { USABLE(1) && !locked -> armed = timerSequence; meant = 1 }
    :: atomic { USABLE(2) && !locked -> armed = timerSequence; meant = 2 }
    fi;
    if
    :: meant != 0 ->
        atomic {
            !locked -> locked = true;
            if
#ifndef BREAK_NO_TIMER_SEQUENCE
            :: timerSequence != armed -> goto late
#endif
            :: else -> assert(meant == incarnation)                     /* nor does a stale timer */
            fi;
#ifndef BREAK_LOOK_BEFORE_PUBLISHING
            info = info | EXPIRED
#endif
        };
        Unblock(NIL);
#ifdef BREAK_LOOK_BEFORE_PUBLISHING
        info = info | EXPIRED;
#endif
late:
        locked = false;
        Schedule()
    :: else
    fi
}
#endif

#ifndef REUSE
#if INCARNATIONS == 1
active proctype Canceller() {
    byte old;
    bool taken;

    if
    :: goto end_unused
    :: true
    fi;
end_waiting:
    atomic { tokenRegistered -> tokenRunning = true };
#ifdef BREAK_FLAG_AFTER_WAKE
    Unblock(READY);
    Schedule();
    cancelled = true;
#else
#ifdef BREAK_NO_FENCE_IN_WAKE
    flagInStoreBuffer = true;
#else
    cancelled = true;
#endif
    Unblock(READY);
    Schedule();
#endif
#ifdef BREAK_NO_FENCE_IN_WAKE
    !flagInStoreBuffer;     /* no longer than until the thread goes on to other things */
#endif
    tokenRunning = false;
end_unused:
    skip
}
#endif
#endif

#ifdef BREAK_NO_FENCE_IN_WAKE
active proctype StoreBuffer() {
end_drained:
    do
    :: atomic { flagInStoreBuffer -> DRAIN_STORE_BUFFER }
    od
}
#endif

active proctype Closer() {
    byte i = 1, old;
    bool taken;

    do
    :: i > INCARNATIONS -> break
    :: break                                                            /* or it stays open */
    :: atomic { USABLE(i) -> closed = true; users++ };                  /* DescriptorLifetime.TryClose */
        atomic {                                                        /* PollDescriptor.Evict */
            !locked -> locked = true;
            timerSequence++;
#ifndef BREAK_LOOK_BEFORE_PUBLISHING
            info = info | CLOSING
#endif
        };
        Unblock(NIL);
#ifdef BREAK_LOOK_BEFORE_PUBLISHING
        info = info | CLOSING;
#endif
        locked = false;
        Schedule();
        Release();
        i++
    od
}

/* When nothing can move any more, nobody is parked who has something to find: the wake-up that was lost. */
active proctype Observer() {
    bool lostWakeUp;

    atomic { timeout -> lostWakeUp = (parked && (data || cancelled || CHECK(info) != TRY)) };
    assert(!lostWakeUp)
}
