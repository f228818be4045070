using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Do the turns that are handed on because they wait go on waiting? Where they do not, as at a lock that many want for microseconds,
/// another worker is one more that wants the lock: then only a wait that has lasted for a millisecond counts. The monitor's own.
/// </summary>
/// <remarks>
/// One turn at a time is looked at again, a millisecond after it has lost its processor: a thread that has had no time on a processor of
/// the machine is in the same wait. Each sample moves a count up (short) or down (long) by one, between 0 and <see cref="Most"/>; from half
/// of that on, waits are taken to be short.
/// </remarks>
internal sealed class ShortWaits(BlockedTurnProbe probe)
{
    /// <summary>A wait of this length is none that is short.</summary>
    internal const long ShortNanoseconds = 1 * MonotonicClock.NanosecondsPerMillisecond;

    internal const int Most = 16;

    private int _count;
    private Worker? _sampled;
    private long _cpuTime;
    private long _due;

    internal bool Prevail => _count >= Most / 2;

    /// <summary>A turn that was in a wait, for less than a millisecond as far as was seen, has lost its processor.</summary>
    internal void OnHandedOff(Worker worker, long cpuTime, long now)
    {
        // 0: the kernel does not say.
        if (_sampled is null && cpuTime != 0)
        {
            (_sampled, _cpuTime, _due) = (worker, cpuTime, now + ShortNanoseconds);
        }
    }

    /// <summary>One that has waited for longer has.</summary>
    internal void OnLong() => _count = Math.Max(0, _count - 1);

    /// <summary>At each look.</summary>
    internal void Sample(long now)
    {
        if (_sampled is null || now < _due)
        {
            return;
        }

        long cpuTime = probe.GetCpuTime(_sampled);
        _sampled = null;
        if (cpuTime == _cpuTime)
        {
            OnLong();
        }
        else if (cpuTime != 0)
        {
            _count = Math.Min(Most, _count + 1);
        }
    }
}
