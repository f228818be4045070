using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The backend on poll(2), for where there is nothing better: the way of Go on AIX. One of the waiting threads leads: it asks the kernel
/// about all descriptors, which costs time for each of them. The others follow: they park.
/// </summary>
/// <remarks>
/// <code>
///   thread      becomes     when
///   ---------   ---------   -------------------------------------------------------------------------------------------
///   waits       leader      there is none
///   waits       follower    there is one, and it may sleep
///   leader      returns     there are events, or a signal for it, or its time is up; it wakes a follower, which leads next
///   follower    returns     there are events that a leader has left, or a signal, or its time is up
/// </code>
/// While the leader sleeps, what is asked of the kernel is what it knew before. Whoever arms a direction, or registers, interrupts it,
/// through a pipe. Whoever unregisters also waits until the kernel has let go of the number: it holds the file open, so that a close would
/// not be one, and the number may be a stranger's afterwards.
/// </remarks>
internal sealed class PollPoller : Poller
{
    internal const string BackendName = "poll";

    private readonly SystemCalls _systemCalls;
    private readonly int _pipeRead;
    private readonly int _pipeWrite;

    // Guards everything below. Followers wait on it, and whoever unregisters what the leader has given to the kernel.
    private readonly object _gate = new();
    private readonly PollSet _set;

    // What a leader has found and nobody has taken. A descriptor that is closed meanwhile has another fdseq.
    private readonly Queue<PollEvent> _found = new();
    private bool _isLed;
    private int _followers;
    private int _leavers;
    private long _led;

    // For whoever waits; and for the leader, which looks at what is asked again.
    private bool _signalled;
    private bool _interrupted;

    /// <exception cref="IOException">The kernel refuses a pipe.</exception>
    internal PollPoller(SystemCalls systemCalls, DeadlineHeap deadlines)
        : base(deadlines)
    {
        _systemCalls = systemCalls;
        SyscallResult pipe = systemCalls.Pipe2(out _pipeRead, out _pipeWrite, LibC.O_NONBLOCK);
        if (pipe.IsError)
        {
            throw SystemErrors.ToIOException(pipe.Errno, "pipe2");
        }

        _set = new PollSet(systemCalls, _pipeRead);
    }

    internal override string Name => BackendName;

    internal override bool IsCheapToAsk => false;

    internal override bool HasEvents
    {
        get
        {
            lock (_gate)
            {
                if (_found.Count == 0 && !_isLed)
                {
                    LeadLocked(milliseconds: 0);
                    PassOnLocked();
                }

                return _found.Count != 0;
            }
        }
    }

    internal override PollEventBatch CreateBatch(int capacity) => new PollBatch(capacity);

    internal override void Wait(PollEventBatch batch, long timeoutNanoseconds)
    {
        batch.Clear();
        long end = timeoutNanoseconds < 0 ? long.MaxValue : MonotonicClock.Now + timeoutNanoseconds;
        bool signalled;
        lock (_gate)
        {
            bool timeIsUp = false;
            while (!TryTakeLocked(batch, out signalled) && !timeIsUp)
            {
                int milliseconds = end == long.MaxValue ? -1 : ToMilliseconds(Math.Max(0, end - MonotonicClock.Now));
                timeIsUp = milliseconds == 0;
                if (!_isLed)
                {
                    LeadLocked(milliseconds);
                }
                else if (!timeIsUp)
                {
                    FollowLocked(milliseconds);
                }
            }

            PassOnLocked();
        }

        if (signalled)
        {
            OnSignalConsumed();
        }
    }

    internal void Arm(PollSlot slot, PollMode mode)
    {
        lock (_gate)
        {
            slot.Ask(mode);

            // If the leader has asked for it already, it will tell: it looks at what was announced before this.
            if (slot.Asked != slot.Polled)
            {
                InterruptLocked();
            }
        }
    }

    protected override void DisposeBackend()
    {
        _systemCalls.Close(_pipeRead);
        _systemCalls.Close(_pipeWrite);
    }

    protected override Errno Register(int fd, PollDescriptor descriptor, PollInterest interest)
    {
        // poll(2) takes everything. These are always ready for it, and block all the same.
        if (interest == PollInterest.Everything
            && _systemCalls.GetStatus(fd, out FileStatus status).IsSuccess
            && status.Type is LibC.S_IFREG or LibC.S_IFDIR or LibC.S_IFBLK)
        {
            return Errno.EPERM;
        }

        SyscallResult asked = _systemCalls.Poll(fd, 0, out short events);
        if (asked.IsError || (events & LibC.POLLNVAL) != 0)
        {
            return asked.IsError ? asked.Errno : Errno.EBADF;
        }

        var slot = new PollSlot(this, fd, descriptor.Cookie, interest);
        descriptor.Registration = slot;
        lock (_gate)
        {
            _set.Add(slot);
            InterruptLocked();
        }

        return Errno.Success;
    }

    protected override void Unregister(int fd, PollDescriptor descriptor, bool keepsNumber)
    {
        var slot = (PollSlot)descriptor.Registration!;
        lock (_gate)
        {
            _set.Remove(slot);
            if (!slot.IsPolled)
            {
                return;
            }

            InterruptLocked();
            long led = _led;
            _leavers++;
            while (_isLed && _led == led)
            {
                Monitor.Wait(_gate);
            }

            _leavers--;
        }
    }

    protected override void Signal()
    {
        lock (_gate)
        {
            _signalled = true;
            if (_followers != 0)
            {
                WakeFollowerLocked();
            }
            else
            {
                InterruptLocked();
            }
        }
    }

    private bool TryTakeLocked(PollEventBatch batch, out bool signalled)
    {
        while (!batch.IsFull && _found.TryDequeue(out PollEvent found))
        {
            batch.Add(found);
        }

        signalled = _signalled;
        _signalled = false;
        return signalled || batch.Count != 0;
    }

    // Gives the lock back meanwhile.
    private void LeadLocked(int milliseconds)
    {
        long now = MonotonicClock.Now;
        long quietUntil = _set.Copy(now);
        if (quietUntil != long.MaxValue)
        {
            int quiet = ToMilliseconds(quietUntil - now);
            milliseconds = milliseconds < 0 ? quiet : Math.Min(milliseconds, quiet);
        }

        SyscallResult answer = SyscallResult.Failure(Errno.ECANCELED);
        _isLed = true;
        _led++;
        Monitor.Exit(_gate);
        try
        {
            answer = _set.Ask(milliseconds);
        }
        finally
        {
            Monitor.Enter(_gate);
            _isLed = false;
            _set.Collect(answer.IsSuccess, _found);
            TakeInterruptionLocked();
            if (_leavers != 0)
            {
                Monitor.PulseAll(_gate);
            }
        }

        if (answer.IsError)
        {
            throw SystemErrors.ToIOException(answer.Errno, "poll");
        }
    }

    private void FollowLocked(int milliseconds)
    {
        _followers++;
        Monitor.Wait(_gate, milliseconds);
        _followers--;
    }

    // Whoever leaves may have been woken for what another one must see to now.
    private void PassOnLocked()
    {
        if (_followers != 0 && (!_isLed || _signalled || _found.Count != 0))
        {
            WakeFollowerLocked();
        }
    }

    // It may meet one that leaves instead. Then the leader has been interrupted, and sees to everything itself.
    private void WakeFollowerLocked() => Monitor.Pulse(_gate);

    private void InterruptLocked()
    {
        if (_isLed && !_interrupted)
        {
            _interrupted = true;
            _systemCalls.Write(_pipeWrite, [0]);
        }
    }

    private void TakeInterruptionLocked()
    {
        if (_interrupted)
        {
            Span<byte> taken = stackalloc byte[1];
            _systemCalls.Read(_pipeRead, taken);
            _interrupted = false;
        }
    }

    private sealed class PollBatch(int capacity) : PollEventBatch(capacity);
}
