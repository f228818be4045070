/*
 * How a worker goes to sleep, or goes idle with its processor, without missing work, how the monitor takes a processor away from a worker
 * whose turn blocks, and how the monitor itself dozes.
 *
 *   Worker     holds a processor and runs turns, or is a spare     Worker, Processor, WorkerGroup
 *   Publisher  schedules turns, sets a deadline, from elsewhere    WorkerGroup.Schedule, SetDeadline, Poller.Wake
 *   Kernel     makes descriptors ready; one event is one turn      epoll
 *   Monitor    hands a blocked worker's processor to a spare,      SystemMonitor
 *              or wakes an idle one
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
 * The scenarios keep the state spaces small:
 *   (none)       two processors, one spare; a published turn, an event
 *   -DHAND_OFF   two processors, one spare; two events that one worker fetches at once
 *   -DNO_SPARE   two processors, no spare: a worker that sleeps must not leave work waiting, whatever the other is stuck in
 *   -DALONE      one processor, two spares; a turn that schedules another one
 *   -DDEADLINE   two processors, no spare; a deadline, a published turn, an event
 *   -DIDLE       the same, with processors that may go idle rather than wait for events
 *   -DTHREE      three processors, no spare; a published turn, two events that one worker fetches at once
 *   -DTHREE_IDLE three processors, no spare, which may go idle; a published turn, an event
 */
#ifdef ALONE
#define DOZES
#define PROCESSORS 1
#define WORKERS    3
#define TURNS      1
#define EVENTS     1
#endif
#ifdef NO_SPARE
#define DOZES
#define PROCESSORS 2
#define WORKERS    2
#define TURNS      2
#define EVENTS     2
#define POLLS
#endif
#ifdef HAND_OFF
#define DOZES
#define PROCESSORS 2
#define WORKERS    3
#define TURNS      0
#define EVENTS     2
#endif
#ifdef DEADLINE
#define PROCESSORS 2
#define WORKERS    2
#define TURNS      1
#define EVENTS     1
#define DEADLINES
#define POLLS
#endif
#ifdef IDLE
#define PROCESSORS 2
#define WORKERS    2
#define TURNS      1
#define EVENTS     1
#define DEADLINES
#define POLLS
#define RESTS
#endif
#ifdef THREE
#define PROCESSORS 3
#define WORKERS    3
#define TURNS      1
#define EVENTS     2
#endif
#ifdef THREE_IDLE
#define PROCESSORS 3
#define WORKERS    3
#define TURNS      1
#define EVENTS     1
#define RESTS
#endif
#ifndef PROCESSORS
#define DOZES
#define PROCESSORS 2
#define WORKERS    3
#define TURNS      1
#define EVENTS     1
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
bool dozing = false;            /* SystemMonitor: the futex word; where there are deadlines, idling or three processors it never dozes */

/* Poller._wakePending, and the eventfd: its counter, and the edge that epoll has not reported yet. */
bool wakePending = false;
bool counter = false;
bool signalEdge = false;
byte events = 0;                /* of other descriptors, not fetched yet */

#ifdef DEADLINES
/*
 * One deadline: whether DeadlineHeap.Earliest is one, and whether its time has come. Time passes for whoever sleeps until then, and
 * once at any moment. Once it may turn out, when it is taken out of the heap, to have been moved to later: then it goes back.
 */
bool deadline = false;
bool due = false;
bool rearms = true;
bool covers[PROCESSORS];        /* Processor.SleepsUntil is no later than the deadline */
#endif
#ifdef RESTS
byte idle = 0;                  /* IdleProcessors */
bool isIdle[PROCESSORS];
#endif

#define POLLABLE ((signalEdge && counter) || events > 0)

/* Not in the code: what the properties are stated with. */
byte holder[PROCESSORS];
bool monitorSleeps = false;
#ifdef ALONE
bool followUp = true;           /* one turn in all schedules another one */
#endif

#if PROCESSORS == 3
#define ANY_IN_TURN (IN_TURN(0) || IN_TURN(1) || IN_TURN(2))
#define QUEUED      (own[0] + own[1] + own[2])
#define NEXT(p)     (((p) + 1) % 3)
#define LAST(p)     (((p) + 2) % 3)
#define VICTIM      (own[NEXT(mine)] > 0 || own[LAST(mine)] > 0)
#define COVERED     (covers[0] || covers[1] || covers[2])
#endif
#if PROCESSORS == 2
#define ANY_IN_TURN (IN_TURN(0) || IN_TURN(1))
#define QUEUED      (own[0] + own[1])
#define NEXT(p)     (1 - (p))
#define VICTIM      (own[NEXT(mine)] > 0)
#define COVERED     (covers[0] || covers[1])
#endif
#if PROCESSORS == 1
#define ANY_IN_TURN IN_TURN(0)
#define QUEUED      own[0]
#define VICTIM      false
#endif
#ifndef DEADLINES
#define deadline    false
#define COVERED     true
#endif
#ifndef RESTS
#define idle        0
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

/*
 * WorkerGroup.PassOn: a worker that is about to run a turn, or to go idle, leaves something behind. Of its own queue, what is more than the
 * given number. Not called for what it takes from its own queue: what is there was passed on when it was put there.
 */
#ifdef BREAK_PASS_ON_IGNORES_OTHERS
#define OTHERS_WAIT false
#else
#define OTHERS_WAIT VICTIM
#endif
#ifdef BREAK_PASS_ON_IGNORES_DEADLINES
#define DEADLINE_WAITS false
#else
#define DEADLINE_WAITS (deadline && !COVERED)
#endif
inline PassOn(next) {
#ifndef BREAK_NO_PASS_ON
    if
    :: sleepers != 0 && (group > 0 || own[mine] > next || OTHERS_WAIT || DEADLINE_WAITS) -> Wake()
    :: else
    fi
#else
    skip
#endif
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

/* WorkerGroup.Steal: the older half, rounded up. */
inline Take(victim) {
    fetched = own[victim] - own[victim] / 2;
    own[victim] = own[victim] - fetched
}

active [WORKERS] proctype Worker() {
    byte me = _pid, mine = NONE, fetched;
    bool signalled, wake, asleep, polled;

    if
    :: atomic { me < PROCESSORS -> mine = me; holder[mine] = me }
    :: else -> goto spare
    fi;

between:
#ifdef DEADLINES
    if                                                                  /* WorkerGroup.FireDeadlines */
    :: atomic { due -> due = false; deadline = false };
        if
        :: fetched = 1; goto dispatch
        :: atomic { rearms -> rearms = false; deadline = true };
#ifndef BREAK_REARM_WITHOUT_PASS_ON
            PassOn(1)
#endif
        fi
    :: else
    fi;
#endif
    atomic {                                    /* WorkerGroup.TryTakeTurn; that it finds none proves nothing yet */
        MINE;
        if
        :: own[mine] > 0 -> own[mine]--; goto turn
        :: group > 0 -> group--; goto found                             /* also before its own: every 61st time */
        :: else
        fi
    };

#if PROCESSORS > 1
    if                                                                  /* WorkerGroup.FindWork */
    :: VICTIM -> polled = true; goto poll
    :: else
    fi;
#endif
#ifdef POLLS
    if
    :: POLLABLE -> goto poll                                /* many turns since the last time, or WorkerGroup.TryBusyPoll */
    :: true
    fi;
#endif
#ifdef RESTS
#ifdef BREAK_ALL_REST
#define MAY_REST true
#else
#define MAY_REST idle < PROCESSORS - 1
#endif
    if                                                                  /* WorkerGroup.TryRest */
    :: atomic { MAY_REST -> MINE; idle++; isIdle[mine] = true };
#ifndef BREAK_REST_WITHOUT_PASS_ON
        PassOn(0);
#endif
end_resting:
        atomic { !isIdle[mine] -> goto between }
    :: true
    fi;
#endif

#ifdef DEADLINES
#ifdef BREAK_NO_SECOND_LOOK_AT_DEADLINES
#define EARLIER false
#else
#define EARLIER (deadline && !covers[mine])
#endif
    covers[mine] = deadline;                                            /* WorkerGroup.TryBeginSleep */
#endif
    atomic { sleepers++; asleep = true };
#ifndef BREAK_LOOK_BEFORE_ANNOUNCE
    if :: group > 0 -> goto awake :: else fi;
#ifdef DEADLINES
    if :: EARLIER -> goto awake :: else fi;
#endif
#if PROCESSORS > 1
#ifndef BREAK_NO_LOOK_AT_OTHERS
    if :: VICTIM -> goto awake :: else fi;
#endif
#endif
#endif
#ifdef BREAK_CLEAR_LATE
    if :: signalled -> wakePending = false; signalled = false :: else fi;
#endif
end_asleep:
    if                                                                  /* Poller.Wait */
    :: atomic { POLLABLE -> Fetch() }; goto reported
#ifdef DEADLINES
    :: atomic { covers[mine] -> due = deadline }; goto awake
#endif
    fi;
poll:
    atomic { Fetch() };
reported:
    ConsumeSignal();
awake:
    if
    :: asleep ->                                                        /* WorkerGroup.EndSleep */
        atomic {
            sleepers--;
            asleep = false;
#ifdef DEADLINES
            covers[mine] = false
#endif
        }
    :: else
    fi;
dispatch:
    if
    :: fetched > 0 ->                                                   /* Poller.Dispatch, WorkerGroup.QueueReady */
#ifdef BREAK_PASS_ON_BEFORE_PUSH
        if :: fetched > 1 -> PassOn(0) :: else fi;
#endif
        atomic { MINE; own[mine] = own[mine] + fetched; fetched = 0 };
#ifndef BREAK_PASS_ON_BEFORE_PUSH
        PassOn(1)
#endif
    :: else
    fi;
#if PROCESSORS > 1
    if                                                                  /* RunQueue.StealInto: claimed, and in no queue for a moment */
    :: atomic { polled && own[mine] == 0 && own[NEXT(mine)] > 0 -> Take(NEXT(mine)) }
#if PROCESSORS > 2
    :: atomic { polled && own[mine] == 0 && own[NEXT(mine)] == 0 && own[LAST(mine)] > 0 -> Take(LAST(mine)) }
#endif
    :: else
    fi;
    polled = false;
    if
    :: fetched > 0 ->
        atomic { MINE; own[mine] = own[mine] + fetched; fetched = 0 };
#ifndef BREAK_STEAL_WITHOUT_PASS_ON
        PassOn(1)
#endif
    :: else
    fi;
#endif
    goto between;

found:
#ifndef BREAK_GROUP_TURN_WITHOUT_PASS_ON
    PassOn(0);
#endif
turn:
#ifdef BREAK_KICK_BEFORE_TURN
    dozing = false;
#endif
    atomic { MINE; state[mine] = TURN_OF(me) };
#ifdef DOZES
#ifndef BREAK_NO_KICK
#ifndef BREAK_KICK_BEFORE_TURN
    dozing = false;                                                     /* a CAS if it is set, and a futex wake */
#endif
#endif
    assert(state[mine] != TURN_OF(me) || !(monitorSleeps && dozing));   /* watched, unless it has lost its processor */
#endif

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
#if PROCESSORS > 1
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
#ifdef DEADLINES
    bool sets = true, passes = true;
#endif

    do
    :: i < TURNS -> Schedule(); i++
#ifdef DEADLINES
    :: sets -> sets = false;                                            /* WorkerGroup.SetDeadline */
        deadline = true;
        if :: sleepers != 0 && !COVERED -> Wake() :: else fi
    :: atomic { passes && deadline -> passes = false; due = true }      /* no publisher's: time, while nobody sleeps until then */
#endif
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
#if PROCESSORS > 1
    :: TryHandOff(1)
#endif
#if PROCESSORS > 2
    :: TryHandOff(2)
#endif
#ifdef RESTS
#ifndef BREAK_LEAVE_THEM_IDLE
    :: atomic {                                                         /* WorkerGroup.OnTurnLasts; IdleProcessors.TryWakeOne */
        idle > 0 && sleepers == 0 && ANY_IN_TURN -> idle--;
        if
        :: isIdle[0] -> isIdle[0] = false
        :: isIdle[1] -> isIdle[1] = false
#if PROCESSORS > 2
        :: isIdle[2] -> isIdle[2] = false
#endif
        fi
    }
#endif
#endif
#ifdef DOZES
    :: !ANY_IN_TURN ->
        dozing = true;
#ifndef BREAK_DOZE_WITHOUT_LOOKING
        if :: ANY_IN_TURN -> dozing = false; goto end_watching :: else fi;
#endif
        atomic { if :: dozing -> monitorSleeps = true :: else fi };     /* futex wait */
end_dozing:
        atomic { !dozing -> monitorSleeps = false }
#endif
    od
}

/* When nothing can move any more. */
active proctype Observer() {
    bool lostWork, unwatchedTurn;

    atomic {
        timeout ->
        lostWork = ((group + QUEUED + events > 0 || deadline) && (sleepers > 0 || spares > 0 || idle > 0));
        unwatchedTurn = (monitorSleeps && ANY_IN_TURN)
    };
    assert(!lostWork);
    assert(!unwatchedTurn)
}
