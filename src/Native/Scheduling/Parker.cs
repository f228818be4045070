using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>Where one thread sleeps until another wakes it: a futex with a memory for one wake-up. Holds no descriptor.</summary>
/// <remarks>
/// <code>
///   state      Park (the one owner)              Unpark (any thread)
///   Empty      → Parked, sleeps                  → Notified
///   Notified   → Empty, returns at once          stays
///   Parked     sleeps; woken or late: → Empty    → Notified, wakes the owner
/// </code>
/// </remarks>
internal sealed class Parker(SystemCalls systemCalls)
{
    private const int Empty = 0;
    private const int Notified = 1;
    private const int Parked = 2;

    // In memory that the collector does not move: the kernel knows the sleeper by the address.
    private readonly int[] _state = GC.AllocateArray<int>(1, pinned: true);

    /// <summary>Sleeps until somebody unparks, or until the time is up; negative: no limit.</summary>
    /// <returns>False: the time was up.</returns>
    internal bool Park(long timeoutNanoseconds)
    {
        ref int state = ref _state[0];
        if (Interlocked.CompareExchange(ref state, Parked, Empty) == Notified)
        {
            Interlocked.Exchange(ref state, Empty);
            return true;
        }

        // There are wake-ups for no reason, among them the one of an Unpark that an earlier Park has already seen.
        long start = timeoutNanoseconds < 0 ? 0 : MonotonicClock.Now;
        long left = timeoutNanoseconds;
        do
        {
            systemCalls.FutexWait(ref state, Parked, left);
            if (timeoutNanoseconds >= 0)
            {
                left = Math.Max(0, timeoutNanoseconds - (MonotonicClock.Now - start));
            }
        }
        while (left != 0 && Volatile.Read(ref state) == Parked);

        return Interlocked.Exchange(ref state, Empty) == Notified;
    }

    /// <summary>Wakes the owner, or lets its next <see cref="Park"/> return at once. Publish the reason first: this is a full
    /// fence.</summary>
    internal void Unpark()
    {
        ref int state = ref _state[0];
        if (Interlocked.Exchange(ref state, Notified) == Parked)
        {
            systemCalls.FutexWake(ref state);
        }
    }
}
