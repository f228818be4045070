using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The descriptors that a <see cref="PollPoller"/> watches, and the list of them that the kernel is given: a copy, because everybody may
/// change what is asked while the kernel has it. Guarded by the poller's lock, but for the copy, which is the leader's.
/// </summary>
internal sealed class PollSet(SystemCalls systemCalls, int signalFd)
{
    private const int InitialCapacity = 16;
    private const short Everything = LibC.POLLIN | LibC.POLLOUT | LibC.POLLRDHUP | LibC.POLLPRI;

    private readonly List<PollSlot> _slots = [];

    // The first is the signal's. Pinned: the leader sleeps with it in the kernel's hands.
    private pollfd[] _asked = GC.AllocateArray<pollfd>(InitialCapacity, pinned: true);
    private PollSlot?[] _askedSlots = new PollSlot?[InitialCapacity];
    private int _askedCount;

    internal void Add(PollSlot slot)
    {
        slot.Index = _slots.Count;
        _slots.Add(slot);
    }

    internal void Remove(PollSlot slot)
    {
        PollSlot last = _slots[^1];
        _slots[slot.Index] = last;
        last.Index = slot.Index;
        slot.Index = -1;
        _slots.RemoveAt(_slots.Count - 1);
    }

    /// <summary>Makes the copy. Returns when a quiet time ends next.</summary>
    internal long Copy(long now)
    {
        if (_asked.Length <= _slots.Count)
        {
            int capacity = Math.Max(_slots.Count + 1, 2 * _asked.Length);
            _asked = GC.AllocateArray<pollfd>(capacity, pinned: true);
            _askedSlots = new PollSlot?[capacity];
        }

        long quietUntil = long.MaxValue;
        _asked[0] = new pollfd { fd = signalFd, events = LibC.POLLIN };
        _askedCount = 1;
        foreach (PollSlot slot in _slots)
        {
            if (slot.QuietUntil <= now)
            {
                slot.AskForUnread();
            }

            quietUntil = Math.Min(quietUntil, slot.QuietUntil);
            if (!slot.IsSilent)
            {
                slot.IsPolled = true;
                slot.Polled = slot.Asked;
                _askedSlots[_askedCount] = slot;
                _asked[_askedCount++] = new pollfd { fd = slot.Fd, events = slot.Asked };
            }
        }

        return quietUntil;
    }

    /// <summary>Asks the kernel, and waits. Without the lock; for the leader.</summary>
    internal SyscallResult Ask(int milliseconds)
    {
        Span<pollfd> asked = _asked.AsSpan(0, _askedCount);
        SyscallResult answer = systemCalls.PollAll(asked, milliseconds);
        if (answer.IsError)
        {
            answer = answer.Errno switch
            {
                // The kernel has no memory now.
                Errno.ENOMEM or Errno.EAGAIN => SyscallResult.Success(0),

                // More than the process may have open: its limit was lowered.
                Errno.EINVAL => AskEach(asked),
                _ => answer,
            };
            if (answer.IsSuccess && answer.Value == 0 && milliseconds != 0)
            {
                Thread.Sleep(1);
            }
        }

        for (int i = 1; i < asked.Length && answer.Value != 0; i++)
        {
            // An error and nothing else, among what was asked. Is it that?
            if (asked[i].revents == LibC.POLLERR
                && systemCalls.Poll(asked[i].fd, Everything, out short events) is { IsSuccess: true, Value: > 0 })
            {
                asked[i].revents = events;
            }
        }

        return answer;
    }

    /// <summary>Takes the answers out of the copy, and puts those that are of descriptors still watched into a queue.</summary>
    internal void Collect(bool answered, Queue<PollEvent> events)
    {
        for (int i = 1; i < _askedCount; i++)
        {
            PollSlot slot = _askedSlots[i]!;
            _askedSlots[i] = null;
            slot.IsPolled = false;
            slot.Polled = 0;
            short told = answered ? _asked[i].revents : (short)0;
            if (told != 0 && slot.Index >= 0)
            {
                PollReadiness readiness = PollSlot.Translate(told);
                slot.OnTold(readiness, told);
                events.Enqueue(new PollEvent(slot.Cookie, readiness));
            }
        }

        _askedCount = 0;
    }

    private SyscallResult AskEach(Span<pollfd> asked)
    {
        int told = 0;
        for (int i = 0; i < asked.Length; i++)
        {
            SyscallResult answer = systemCalls.PollAll(asked.Slice(i, 1), 0);
            if (answer.IsError)
            {
                return answer;
            }

            told += answer.Value;
        }

        return SyscallResult.Success(told);
    }
}
