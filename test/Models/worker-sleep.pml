/*
 * How a worker goes to sleep without missing work, how the monitor takes a processor away from a worker whose turn blocks, and how the
 * monitor itself dozes.
 *
 *   Worker     holds a processor and runs turns, or is a spare     Worker, Processor, WorkerGroup
 *   Publisher  schedules turns from elsewhere                      WorkerGroup.Schedule, Poller.Wake
 *   Kernel     makes descriptors ready; one event is one turn      epoll
 *   Monitor    hands a blocked worker's processor to a spare       SystemMonitor
 *
 * Any turn may return, schedule another one first, or block for ever. Queues are numbers of turns: what is shown here is who may touch
 * them and who looks when, not how a queue works inside. A step is one interlocked operation, one fenced store or one volatile read; a
 * mistake that stands for a missing fence is the store and the read in the other order.
 *
 * The monitor scans again and again in the code; here it waits until a scan would do something, so that a state in which nothing
 * happens any more is an end, at which the Observer looks.
 *
 * Each BREAK_... is a mistake that the model must catch; WorkerSleepModelTests tries them all.
 */

/*
 * Four scenarios keep the state spaces small:
 *   (none)       two processors, one spare; a published turn, an event
 *   -DHAND_OFF   two processors, one spare; two events that one worker fetches at once
 *   -DNO_SPARE   two processors, no spare: a worker that sleeps must not leave work waiting, whatever the other is stuck in
 *   -DALONE      one processor, two spares; a turn that schedules another one
 */
#ifdef ALONE
#define PROCESSORS 1
#define WORKERS    3
#define TURNS      1
#define EVENTS     1
#else
#define PROCESSORS 2
#define OTHER(p)   (1 - (p))
#ifdef NO_SPARE
#define WORKERS    2
#define TURNS      2
#define EVENTS     2
#else
#define WORKERS    3
#ifdef HAND_OFF
#define TURNS      0
#define EVENTS     2
#else
#define TURNS      1
#define EVENTS     1
#endif
#endif
#endif

#define NOBODY 255
#define NONE   255

/*
 * Processor._state. Of the sequence number the model keeps what it tells: whose turn it is. A worker is in one turn at a time, so the
 * worker's number is as good; and that a CAS of the monitor's succeeds says that the turn it has seen is still the one.
 */
#define HELD       0
#ifdef BREAK_NO_SEQUENCE
#define TURN_OF(w) 1
#else
#define TURN_OF(w) ((w) + 1)
#endif
byte state[PROCESSORS];
#define IN_TURN(p) (state[p] != HELD)

byte own[PROCESSORS];           /* RunQueue of a processor; others only steal from it */
byte group = 0;                 /* the group's queue */
byte sleepers = 0;              /* WorkerGroup._sleepers */
byte spares = WORKERS - PROCESSORS;
bool offered[PROCESSORS];       /* taken from a worker, for a spare that was set aside for it */
bool dozing = false;            /* SystemMonitor: the futex word */

/* Poller._wakePending, and the eventfd: its counter, and the edge that epoll has not reported yet. */
bool wakePending = false;
bool counter = false;
bool signalEdge = false;
byte events = 0;                /* of other descriptors, not fetched yet */
#define POLLABLE ((signalEdge && counter) || events > 0)

/* Not in the code: what the properties are stated with. */
byte holder[PROCESSORS];
bool monitorSleeps = false;
#ifdef ALONE
bool followUp = true;           /* one turn in all schedules another one */
#endif

#if PROCESSORS == 2
#define ANY_IN_TURN (IN_TURN(0) || IN_TURN(1))
#define WORK        (group + own[0] + own[1] + events)
#else
#define ANY_IN_TURN IN_TURN(0)
#define WORK        (group + own[0] + events)
#endif

/* Only its holder touches a processor, but for its state word and for stealing. */
#define MINE assert(holder[mine] == me)

/* Poller.Wake. */
inline Wake() {
    atomic { if :: !wakePending -> wakePending = true; wake = true :: else fi };
    if
    :: wake -> atomic { counter = true; signalEdge = true; wake = false }
    :: else
    fi
}

/* WorkerGroup.Schedule. */
inline Schedule() {
#ifdef BREAK_SIGNAL_BEFORE_ENQUEUE
    if :: sleepers != 0 -> Wake() :: else fi;
    group++
#else
    group++;
    if :: sleepers != 0 -> Wake() :: else fi
#endif
}

/* WorkerGroup.PassOn: a worker that is about to run a turn leaves something behind. */
inline PassOn() {
    if
    :: sleepers != 0 && (group > 0 || own[mine] > 0) -> Wake()
    :: else
    fi
}

/* What epoll_wait reports; at most two events. */
inline Fetch() {
    if :: signalEdge && counter -> signalled = true :: else fi;
    signalEdge = false;
    fetched = events;
    events = 0
}

/*
 * EpollPoller.ConsumeSignal, Poller.OnSignalConsumed. Cleared before it is read, a signal in between is read away with the first: nothing
 * is left in the eventfd that would wake anybody, and the next publisher thinks there is.
 */
inline ConsumeSignal() {
    if
    :: signalled ->
#ifdef BREAK_CLEAR_BEFORE_READ
        wakePending = false;
        counter = false;
#else
        counter = false;
#ifndef BREAK_CLEAR_LATE
        wakePending = false;
#endif
#endif
#ifndef BREAK_CLEAR_LATE
        signalled = false
#endif
    :: else
    fi
}

active [WORKERS] proctype Worker() {
    byte me = _pid, mine = NONE, fetched;
    bool signalled, wake, asleep;

    if
    :: atomic { me < PROCESSORS -> mine = me; holder[mine] = me }
    :: else -> goto spare
    fi;

between:
    atomic {                                    /* Worker.Loop: looks for a turn; that it finds none proves nothing yet */
        MINE;
        if
        :: own[mine] > 0 -> own[mine]--; goto found
        :: else
        fi;
        if
        :: group > 0 -> group--; goto found
        :: else
        fi;
#if PROCESSORS == 2
        if
        :: own[OTHER(mine)] > 0 -> own[OTHER(mine)]--; goto found
        :: else
        fi
#endif
    };
#ifdef NO_SPARE
    if
    :: atomic { POLLABLE -> Fetch() }; goto reported                    /* a poll that does not wait */
    :: true
    fi;
#endif

    atomic { sleepers++; asleep = true };                               /* WorkerGroup.TryBeginSleep */
#ifndef BREAK_LOOK_BEFORE_ANNOUNCE
    if :: group > 0 -> goto awake :: else fi;
#if PROCESSORS == 2
#ifndef BREAK_NO_LOOK_AT_OTHERS
    if :: own[OTHER(mine)] > 0 -> goto awake :: else fi;
#endif
#endif
#endif
#ifdef BREAK_CLEAR_LATE
    if :: signalled -> wakePending = false; signalled = false :: else fi;
#endif
end_asleep:
    atomic { POLLABLE -> Fetch() };                                     /* Poller.Wait */
reported:
    ConsumeSignal();
#ifdef BREAK_PASS_ON_BEFORE_PUSH
    if :: fetched > 1 -> PassOn() :: else fi;
#endif
awake:
    atomic {
        if :: asleep -> sleepers--; asleep = false :: else fi;          /* WorkerGroup.EndSleep */
        MINE;
        own[mine] = own[mine] + fetched;                                /* Poller.Dispatch */
        fetched = 0
    };
    goto between;

found:
#ifndef BREAK_NO_PASS_ON
#ifndef BREAK_PASS_ON_BEFORE_PUSH
    PassOn();
#endif
#endif
#ifdef BREAK_KICK_BEFORE_TURN
    dozing = false;
#endif
    atomic { MINE; state[mine] = TURN_OF(me) };
#ifndef BREAK_NO_KICK
#ifndef BREAK_KICK_BEFORE_TURN
    dozing = false;                                                     /* a CAS if it is set, and a futex wake */
#endif
#endif
    assert(state[mine] != TURN_OF(me) || !(monitorSleeps && dozing));   /* watched, unless it has lost its processor */

#ifdef ALONE
    if                                                                  /* Turn.Run */
    :: atomic { followUp -> followUp = false };
#ifdef BREAK_LOCAL_SCHEDULE_IN_TURN
        atomic { MINE; own[mine]++ }
#else
        Schedule()
#endif
    :: true
    fi;
#endif
    if
    :: true
    :: goto blocked
    fi;

#ifdef BREAK_USE_BEFORE_RETURN
    MINE;
#endif
    atomic {
        if
#ifndef BREAK_RETURN_BY_STORE
        :: state[mine] != TURN_OF(me) -> mine = NONE; spares++          /* lost it meanwhile, and is a spare */
#endif
        :: else -> state[mine] = HELD; goto between
        fi
    };

spare:
end_spare:
    if
    :: atomic { offered[0] -> offered[0] = false; mine = 0; assert(holder[0] == NOBODY); holder[0] = me }
#if PROCESSORS == 2
    :: atomic { offered[1] -> offered[1] = false; mine = 1; assert(holder[1] == NOBODY); holder[1] = me }
#endif
    fi;
    goto between;

blocked:
end_blocked:
    false
}

active proctype Publisher() {
    byte i;
    bool wake;

    do
    :: i < TURNS -> Schedule(); i++
    :: break
    od
}

active proctype Kernel() {
    if
    :: events = EVENTS
    :: true
    fi
}

#ifdef BREAK_IGNORE_THAT_NOBODY_SLEEPS
#define WORK_WAITS(p) group > 0 || own[p] > 0
#else
#ifdef BREAK_IGNORE_QUEUES
#define WORK_WAITS(p) sleepers == 0
#else
#define WORK_WAITS(p) group > 0 || own[p] > 0 || sleepers == 0
#endif
#endif

/*
 * SystemMonitor: scans processor p, finds a turn that has not moved since the last scan, and somebody to take over. The look and the CAS
 * are one step: what could be different in between only makes the CAS fail, or the decision less wise.
 */
inline TryHandOff(p) {
    atomic { spares > 0 && IN_TURN(p) && (WORK_WAITS(p)) -> spares--; state[p] = HELD; holder[p] = NOBODY };
    offered[p] = true
}

active proctype Monitor() {
end_watching:
    do
    :: TryHandOff(0)
#if PROCESSORS == 2
    :: TryHandOff(1)
#endif
    :: !ANY_IN_TURN ->
        dozing = true;
#ifndef BREAK_DOZE_WITHOUT_LOOKING
        if :: IN_TURN(0) -> dozing = false; goto end_watching :: else fi;
#if PROCESSORS == 2
        if :: IN_TURN(1) -> dozing = false; goto end_watching :: else fi;
#endif
#endif
        atomic { if :: dozing -> monitorSleeps = true :: else fi };     /* futex wait */
end_dozing:
        atomic { !dozing -> monitorSleeps = false }
    od
}

/* When nothing can move any more. */
active proctype Observer() {
    bool lostWork, unwatchedTurn;

    atomic {
        timeout ->
        lostWork = (WORK > 0 && (sleepers > 0 || spares > 0));
        unwatchedTurn = (monitorSleeps && ANY_IN_TURN)
    };
    assert(!lostWork);
    assert(!unwatchedTurn)
}
