/*
 * The threads that wait on poll(2): src/Native/Polling/Backends, PollPoller, PollSet, PollSlot. One descriptor, one direction of it.
 *
 *   Worker      two or three of them: wait, become leader or follower, return          PollPoller.Wait
 *   Armer       arms, and when it was told reads and arms once more                     PollPoller.Arm
 *   Kernel      makes data arrive, twice, or not                                        poll(2)
 *   Signaller   signals, once                                                           PollPoller.Signal
 *   Closer      unregisters, or not: then it does not come to the rescue either         PollPoller.Unregister
 *
 * What happens under the poller's lock is one step. A wait may have a limit, or none. What a worker does with what it has got may take for
 * ever: it may not come back.
 * Each BREAK_... is a mistake that the model must catch; PollLeaderModelTests tries them all.
 *
 *   (none)      two workers
 *   -DTHREE     three workers, nobody closes
 */
#ifdef THREE
#define WORKERS 3
#else
#define WORKERS 2
#endif
#define SIGNALS 1
#define CLOSER  WORKERS
#define WAITERS 4

/* PollSlot: what is asked, and what the kernel was given. */
bool watched = true;
bool asked = false;
bool polled = false;
bool polledAsked = false;

/* PollPoller. */
byte found = 0;
bool isLed = false;
byte led = 0;
byte followers = 0;
byte leavers = 0;
bool signalled = false;
bool interrupted = false;
bool pipe = false;                  /* there is a byte in it */

/* Monitor: who waits on the lock, and has been pulsed. */
bool waits[WAITERS];
bool pulsed[WAITERS];

/* The world. */
bool data = false;
bool told = false;                  /* an event was dispatched: the armer runs */

/* Not in the code: what the properties are stated with. */
byte asleep = 0;                    /* workers inside Wait */
bool inKernel = false;              /* the number is in the hands of a poll(2) under way */

inline PulseOne(i) {
    /* The one that has waited longest, of whom the model does not know. */
    if
    :: waits[0] -> waits[0] = false; pulsed[0] = true
    :: waits[1] -> waits[1] = false; pulsed[1] = true
    :: waits[2] -> waits[2] = false; pulsed[2] = true
    :: waits[3] -> waits[3] = false; pulsed[3] = true
    :: else
    fi
}

inline PulseAll(i) {
    for (i : 0 .. WAITERS - 1) {
        if :: waits[i] -> waits[i] = false; pulsed[i] = true :: else fi
    }
}

/* WakeFollowerLocked. It may meet the closer instead: then the leader has been interrupted, and sees to everything. */
inline WakeFollower(i) {
    PulseOne(i)
}

/* InterruptLocked. */
inline Interrupt() {
    if
    :: isLed && !interrupted -> interrupted = true; pipe = true
    :: else
    fi
}

/* PassOnLocked. */
inline PassOn(i) {
#ifndef BREAK_NO_PASS_ON
    if
    :: followers != 0 && (!isLed || signalled || found != 0) -> WakeFollower(i)
    :: else
    fi
#else
    skip
#endif
}

/* LeadLocked and PollSet.Collect, when the kernel has answered. */
inline Collect(i) {
    isLed = false;
    inKernel = false;
    if
    :: polled && ready && watched -> found++; asked = false
    :: else
    fi;
    polled = false;
    polledAsked = false;
#ifndef BREAK_INTERRUPTION_STAYS
    if :: interrupted -> interrupted = false; pipe = false :: else fi;
#else
    if :: interrupted -> pipe = false :: else fi;
#endif
    if :: leavers != 0 -> PulseAll(i) :: else fi
}

active [WORKERS] proctype Worker() {
    byte i, got;
    bool ready, signal, limited, timeIsUp;

end_elsewhere:
    do
    :: true ->
        atomic {
            asleep++;
            timeIsUp = false;
            if :: limited = false :: limited = true fi
        };
again:
        atomic {
            /* TryTakeLocked */
            if :: found != 0 -> found--; got = 1 :: else -> got = 0 fi;
            signal = signalled;
            signalled = false;
            if
            :: got != 0 || signal || timeIsUp -> PassOn(i); asleep--; goto leave
            :: !(got != 0 || signal || timeIsUp) && !isLed ->
                isLed = true;
                led++;
                polled = watched;
                inKernel = watched;
                polledAsked = watched && asked;
                goto lead
            :: else ->
                followers++;
                waits[_pid] = true;
                goto follow
            fi
        };
lead:
end_leads:
        atomic {
            (polledAsked && data) || pipe ->
            ready = polledAsked && data
        };
        atomic { Collect(i) };
        goto again;
follow:
end_follows:
        if
        :: atomic { pulsed[_pid] -> pulsed[_pid] = false; followers-- }
        :: atomic { limited && waits[_pid] -> waits[_pid] = false; followers--; timeIsUp = true }
        fi;
        goto again;
leave:
        if
        :: got != 0 -> atomic { got = 0; told = true }                      /* dispatched: PollDescriptor.OnEvent */
        :: else
        fi;
        signal = false;
        ready = false;
        if
        :: true
        :: break                                                            /* its turn does not end */
        fi
    od
}

active proctype Armer() {
    byte rounds;

    do
    :: break
    :: rounds < 2 ->
end_unwatched:
        atomic {
            watched -> asked = true;
#ifndef BREAK_NO_INTERRUPTION
            if :: !polledAsked -> Interrupt() :: else fi
#endif
        };
        rounds++;
end_parked:
        atomic { told -> told = false; data = false }
    od
}

active proctype Kernel() {
    byte count;

    do
    :: break
    :: count < 2 ->
end_idle:
        atomic { !data -> data = true };
        count++
    od
}

active proctype Signaller() {
    byte i, count;

    do
    :: break
    :: count < SIGNALS ->
        atomic {
            signalled = true;
            if
            :: followers != 0 -> WakeFollower(i)
#ifndef BREAK_SIGNAL_FOLLOWERS_ONLY
            :: else -> Interrupt()
#else
            :: else
#endif
            fi
        };
        count++
    od
}

#ifndef THREE
active proctype Closer() {
    byte seen;

    if
    :: goto end_open
    :: true
    fi;
    atomic {
        watched = false;
        if
        :: !polled -> goto closed
        :: else -> Interrupt(); seen = led; leavers++
        fi
    };
#ifndef BREAK_NO_WAIT_FOR_LEADER
look:
    atomic {
        if
        :: isLed && led == seen -> waits[CLOSER] = true
        :: else -> leavers--; goto closed
        fi
    };
end_leaving:
    atomic { pulsed[CLOSER] -> pulsed[CLOSER] = false };
    goto look;
#endif
closed:
    assert(!inKernel);                  /* close(2) closes */
end_open:
    skip
}
#endif

/* When nothing can move any more, nobody sleeps beside what he should have been woken for, and nobody waits to close. */
active proctype Observer() {
    bool lost;

    atomic { timeout -> lost = (asleep != 0 && (found != 0 || signalled || (watched && asked && data))) || leavers != 0 };
    assert(!lost)
}
