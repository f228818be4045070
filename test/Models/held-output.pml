/*
 * The output of one connection, held in a worker's list or in a group's, with everybody who may send it.
 *
 *   (none)      TurnOfA   flushes twice inside a turn, then blocks or ends it     SocketPipeWriter.TryHoldInTurn, Worker.TryHold, SendHeld
 *               TurnOfB   another worker's turn that flushes the same connection  the same
 *               Monitor   hands A's processor on, or takes what A holds           WorkerGroup.TryHandOff, SendElsewhere
 *   -DOUTSIDE   Flusher   flushes outside of turns; a read may send               SocketPipeWriter.TryHoldOutside, WorkerGroup.TryHoldUntil
 *               Looker    the monitor's looks at the group's list, and the end    WorkerGroup.LookAtHeld, SendAllHeld
 *
 * A step is one interlocked operation or one volatile read. What happens under the writer's lock is in steps, too: others who do not take it look on.
 * Each BREAK_... is a mistake that the model must catch; HeldOutputModelTests tries them all.
 */

#define NOBODY 0
#define A 1
#define B 2

bool locked;        /* the writer's lock */
bool listed;        /* HeldOutput._isListed */
bool held;          /* SocketPipeWriter._held: whoever sends looks at it without the lock */

inline lock()   { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

#ifndef OUTSIDE

byte at = NOBODY;          /* HeldInTurn.Worker; under the lock */
bool inA, inB;             /* TurnList of each worker: there is one entry only */
bool hasProcessor = true;  /* of A's turn: the state word is still its own */
bool queuedByA, queuedByB; /* bytes that have not been sent */
bool aIsOver, aBlocks, bIsOver;

inline send()   { queuedByA = false; queuedByB = false; held = false }

/* HeldInTurn.Run, SendHeld */
inline sendAll()
{
    if
    :: held -> lock(); send(); unlock()
    :: else -> skip
    fi
}

inline sendListed()
{
#ifdef BREAK_UNLIST_AFTER_SEND
    sendAll();
    listed = false
#else
    listed = false;
    sendAll()
#endif
}

active proctype TurnOfA()
{
    byte flushes = 0;
    bool taken, sent;

    do
    :: flushes < 2 ->
        flushes++;
        lock();
        queuedByA = true;
        sent = false;
#ifndef BREAK_HELD_AFTER_LISTING
        held = true;
#endif
        atomic { taken = listed; listed = true };
        if
        :: taken ->
            if
            :: at == A -> skip
            :: else -> send(); sent = true
            fi
        :: else ->
            at = A;
            if
            :: !hasProcessor -> listed = false; send(); sent = true
            :: else ->
                inA = true;
#ifndef BREAK_NO_SECOND_LOOK
                if
                :: hasProcessor -> skip
                :: else ->
                    atomic { taken = !inA; inA = false };
                    if
                    :: taken -> skip
                    :: else -> listed = false; send(); sent = true
                    fi
                fi
#endif
            fi
        fi;
#ifdef BREAK_HELD_AFTER_LISTING
        if
        :: sent -> skip
        :: else -> held = true
        fi;
#endif
        unlock()
    :: goto done
    od;
done:
    if
    :: aBlocks = true
    :: atomic { taken = inA; inA = false };
       if
       :: taken -> sendListed()
       :: else -> skip
       fi;
       aIsOver = true
    fi
}

active proctype TurnOfB()
{
    bool taken;

    if
    :: lock();
       queuedByB = true;
       held = true;
       atomic { taken = listed; listed = true };
       if
       :: taken ->
#ifdef BREAK_HOLD_WHEREVER_IT_IS_LISTED
           skip
#else
           send()      /* at is A: B has listed nothing before */
#endif
       :: else -> at = B; inB = true
       fi;
       unlock();
       atomic { taken = inB; inB = false };
       if
       :: taken -> sendListed()
       :: else -> skip
       fi;

       /* The end of B's turn does not wait for A's. */
       assert(!queuedByB)
    :: skip
    fi;
    bIsOver = true
}

active proctype Monitor()
{
    bool taken;

again:
    if
    :: atomic { hasProcessor && !aIsOver ->
#ifdef BREAK_TAKE_THE_LIST_FIRST
           taken = inA; inA = false };
       hasProcessor = false;
#else
           hasProcessor = false };
       atomic { taken = inA; inA = false };
#endif
       if
       :: taken -> sendListed()
       :: else -> skip
       fi
    :: atomic { inA -> inA = false };
       sendListed();
       goto again
    :: (aIsOver || aBlocks) && bIsOver && !inA -> skip
    fi;

    /* A blocked turn that still has its processor is looked at again; one that has lost it is not. */
    (aIsOver || aBlocks) && bIsOver;
    if
    :: hasProcessor && inA -> goto again
    :: else -> skip
    fi;
    assert(!queuedByA && !queuedByB)
}

#else /* OUTSIDE */

bool inList;
bool due;           /* HeldOutput.DueAt is not 0, and something is held */
bool stopping, flusherIsOver;

inline sendAll()
{
    if
    :: held -> lock(); due = false; held = false; unlock()
    :: else -> skip
    fi
}

active proctype Flusher()
{
    byte flushes = 0;
    bool taken, sent;

    do
    :: flushes < 2 ->
        flushes++;
        lock();
        sent = false;
#ifndef BREAK_HELD_AFTER_LISTING
        held = true;
#endif
#ifdef BREAK_LIST_BEFORE_DUE
        atomic { taken = listed; listed = true };
        if
        :: taken -> skip
        :: else -> inList = true
        fi;
        due = true;
#else
        due = true;
        atomic { taken = listed; listed = true };
        if
        :: taken -> skip
        :: else -> inList = true
        fi;
#endif
#ifndef BREAK_NO_LOOK_AT_THE_STOP
        if
        :: stopping -> due = false; held = false; sent = true
        :: else -> skip
        fi;
#endif
#ifdef BREAK_HELD_AFTER_LISTING
        if
        :: sent -> skip
        :: else -> held = true
        fi;
#endif
        unlock();
        if
        :: sendAll()         /* the read that finds nothing */
        :: skip
        fi
    :: break
    od;
    flusherIsOver = true
}

active proctype Looker()
{
    bool taken;
    byte looks = 0;

    do
    :: looks < 3 ->
        looks++;
        atomic { taken = inList; inList = false };
        if
        :: !taken -> skip
        :: else ->
            if
            :: due ->
                if
                :: inList = true      /* not yet */
                :: listed = false; sendAll()
                fi
            :: else ->
                listed = false;
#ifndef BREAK_NO_LOOK_AFTER_UNLISTING
                if
                :: due ->
                    atomic { taken = listed; listed = true };
                    if
                    :: taken -> skip
                    :: else -> inList = true
                    fi
                :: else -> skip
                fi
#endif
            fi
        fi
    :: break
    od;

    if
    :: stopping = true;
       atomic { taken = inList; inList = false };
       if
       :: taken -> listed = false; sendAll()
       :: else -> skip
       fi;
       flusherIsOver;
       assert(!due)
    :: flusherIsOver;

       /* The next look finds it. */
       assert(!due || inList)
    fi
}

#endif
