using System.Diagnostics;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>
/// Who may use a descriptor, in one word: keeps close(2) away until the last user has left, and lets one reader and one writer
/// in at a time. The rules are those of Go's fdMutex. Thread-safe.
/// </summary>
/// <remarks>
/// <code>
///  bits     meaning
///  0        closed: nobody enters any more
///  1        the read lock is taken
///  2        the write lock is taken
///  3..22    references: every lock holder, every other system call in flight, and the closer
///  23..42   waiters for the read lock
///  43..62   waiters for the write lock
/// </code>
/// Reads do TryLock/Unlock(Read), writes the same with Write, anything else TryAddReference/Release. Whoever gets true from
/// Unlock or Release was the last user of a closed descriptor and must destroy it. The lock is not strictly fair: a newcomer
/// may overtake a waiter that was woken and has not run yet.
/// </remarks>
internal sealed class DescriptorLifetime
{
    internal const int MaxUsers = (1 << 20) - 1;

    private const ulong ClosedBit = 1;
    private const ulong ReadLockBit = 1 << 1;
    private const ulong WriteLockBit = 1 << 2;
    private const ulong OneReference = 1 << 3;
    private const ulong ReferenceMask = (ulong)MaxUsers << 3;
    private const ulong OneReadWaiter = 1ul << 23;
    private const ulong ReadWaiterMask = (ulong)MaxUsers << 23;
    private const ulong OneWriteWaiter = 1ul << 43;
    private const ulong WriteWaiterMask = (ulong)MaxUsers << 43;

    private ulong _word;

    // Where waiters sleep, made by the first one. One permit is released for each waiter that is counted out of the word.
    private SemaphoreSlim? _readQueue;
    private SemaphoreSlim? _writeQueue;

    internal enum LockResult
    {
        Acquired,
        Busy,
        Closed,
    }

    internal bool IsClosed => (Volatile.Read(ref _word) & ClosedBit) != 0;

    /// <summary>Enters for a system call that is neither a read nor a write. False: closed.</summary>
    /// <exception cref="InvalidOperationException">Too many operations at once.</exception>
    internal bool TryAddReference()
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _word);
            if ((old & ClosedBit) != 0)
            {
                return false;
            }

            if (TryChange(old, AddReference(old)))
            {
                return true;
            }
        }
    }

    /// <summary>Leaves. True: the caller must destroy the descriptor.</summary>
    internal bool Release()
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _word);
            if ((old & ReferenceMask) == 0)
            {
                throw new InvalidOperationException("A descriptor was released more often than it was used.");
            }

            ulong changed = old - OneReference;
            if (TryChange(old, changed))
            {
                return IsUnused(changed);
            }
        }
    }

    /// <summary>
    /// Marks the descriptor closed, with a reference for the caller, and lets every waiter go. False: it was closed already.
    /// </summary>
    internal bool TryClose()
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _word);
            if ((old & ClosedBit) != 0)
            {
                return false;
            }

            ulong changed = (AddReference(old) | ClosedBit) & ~(ReadWaiterMask | WriteWaiterMask);
            if (TryChange(old, changed))
            {
                ReleaseAll(_readQueue, (old & ReadWaiterMask) / OneReadWaiter);
                ReleaseAll(_writeQueue, (old & WriteWaiterMask) / OneWriteWaiter);
                return true;
            }
        }
    }

    /// <summary>Takes the lock of one direction, with a reference, without waiting.</summary>
    internal LockResult TryLock(PollMode mode) => TryLock(mode, waiter: 0, out _);

    /// <summary>Takes the lock of one direction, waiting for its holder. False: closed.</summary>
    /// <exception cref="OperationCanceledException">Cancelled while waiting.</exception>
    internal async ValueTask<bool> LockAsync(PollMode mode, CancellationToken cancellationToken)
    {
        SemaphoreSlim queue = Queue(mode);
        while (true)
        {
            LockResult result = TryLock(mode, WaiterUnit(mode), out bool counted);
            if (result != LockResult.Busy)
            {
                return result == LockResult.Acquired;
            }

            Debug.Assert(counted, "busy without being counted");
            try
            {
                await queue.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                await LeaveQueueAsync(mode, queue).ConfigureAwait(false);
                throw;
            }
        }
    }

    /// <summary>As <see cref="LockAsync"/>, on the calling thread, which sleeps: nobody else has to run for it to go on.</summary>
    internal bool Lock(PollMode mode)
    {
        SemaphoreSlim queue = Queue(mode);
        while (true)
        {
            LockResult result = TryLock(mode, WaiterUnit(mode), out _);
            if (result != LockResult.Busy)
            {
                return result == LockResult.Acquired;
            }

            queue.Wait();
        }
    }

    /// <summary>Gives the lock back and wakes one waiter. True: the caller must destroy the descriptor.</summary>
    internal bool Unlock(PollMode mode)
    {
        ulong lockBit = LockBit(mode);
        ulong waiterUnit = WaiterUnit(mode);
        ulong waiterMask = WaiterMask(mode);
        while (true)
        {
            ulong old = Volatile.Read(ref _word);
            if ((old & lockBit) == 0 || (old & ReferenceMask) == 0)
            {
                throw new InvalidOperationException("The lock of a descriptor was given back by somebody who does not hold it.");
            }

            ulong changed = (old & ~lockBit) - OneReference;
            bool wake = (old & waiterMask) != 0;
            if (wake)
            {
                changed -= waiterUnit;
            }

            if (TryChange(old, changed))
            {
                if (wake)
                {
                    Queue(mode).Release();
                }

                return IsUnused(changed);
            }
        }
    }

    private static bool IsUnused(ulong word) => (word & (ClosedBit | ReferenceMask)) == ClosedBit;

    private static ulong LockBit(PollMode mode) => mode == PollMode.Read ? ReadLockBit : WriteLockBit;

    private static ulong WaiterUnit(PollMode mode) => mode == PollMode.Read ? OneReadWaiter : OneWriteWaiter;

    private static ulong WaiterMask(PollMode mode) => mode == PollMode.Read ? ReadWaiterMask : WriteWaiterMask;

    private static ulong AddReference(ulong word) =>
        (word & ReferenceMask) == ReferenceMask ? throw TooMany() : word + OneReference;

    private static InvalidOperationException TooMany() =>
        new($"Too many concurrent operations on one file or socket (at most {MaxUsers}).");

    private static void ReleaseAll(SemaphoreSlim? queue, ulong waiters)
    {
        if (waiters != 0)
        {
            queue!.Release((int)waiters);
        }
    }

    private bool TryChange(ulong old, ulong changed) => Interlocked.CompareExchange(ref _word, changed, old) == old;

    // waiter: what to add to the word when the lock is busy, 0 to leave at once.
    private LockResult TryLock(PollMode mode, ulong waiter, out bool counted)
    {
        ulong lockBit = LockBit(mode);
        ulong waiterMask = WaiterMask(mode);
        counted = false;
        while (true)
        {
            ulong old = Volatile.Read(ref _word);
            if ((old & ClosedBit) != 0)
            {
                return LockResult.Closed;
            }

            if ((old & lockBit) == 0)
            {
                if (TryChange(old, AddReference(old) | lockBit))
                {
                    return LockResult.Acquired;
                }

                continue;
            }

            if (waiter == 0)
            {
                return LockResult.Busy;
            }

            if ((old & waiterMask) == waiterMask)
            {
                throw TooMany();
            }

            if (TryChange(old, old + waiter))
            {
                counted = true;
                return LockResult.Busy;
            }
        }
    }

    // A cancelled waiter counts itself out. If somebody was quicker, a permit is there or on its way: take it, and pass the
    // chance on that came with it, or the next waiter would sleep beside a free lock.
    private async ValueTask LeaveQueueAsync(PollMode mode, SemaphoreSlim queue)
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _word);
            if ((old & WaiterMask(mode)) == 0)
            {
                break;
            }

            if (TryChange(old, old - WaiterUnit(mode)))
            {
                return;
            }
        }

        await queue.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        PassOnChance(mode, queue);
    }

    // As Unlock does, but for a lock that is free. A holder or a closer wakes the waiters itself.
    private void PassOnChance(PollMode mode, SemaphoreSlim queue)
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _word);
            if ((old & (ClosedBit | LockBit(mode))) != 0 || (old & WaiterMask(mode)) == 0)
            {
                return;
            }

            if (TryChange(old, old - WaiterUnit(mode)))
            {
                queue.Release();
                return;
            }
        }
    }

    private SemaphoreSlim Queue(PollMode mode)
    {
        ref SemaphoreSlim? queue = ref (mode == PollMode.Read ? ref _readQueue : ref _writeQueue);
        return Volatile.Read(ref queue) ?? Interlocked.CompareExchange(ref queue, new SemaphoreSlim(0), null) ?? queue!;
    }
}
