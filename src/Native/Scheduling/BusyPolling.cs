namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Whether a processor that has nothing to do asks the poller again and again for a moment before it sleeps. A client that answers at once
/// is back sooner than a thread falls asleep and wakes up, which costs more CPU than a turn. For the holder of the processor.
/// </summary>
/// <remarks>
/// <code>
///   state      busy polls   becomes    when
///   Unlikely   no           Likely     a sleep was short
///   Likely     yes          Unlikely   a sleep was not short
///                           Likely     it has found something: half the penalty
///                           Paying     it was in vain: as many sleeps as the penalty says; twice the penalty
///   Paying     no           Paying     a sleep of any length; those that were short are counted
///                           Likely     enough of them were
/// </code>
/// After hardly any work it does not, whatever the state. So what it costs in vain is bounded: where it never helps, 30 µs for each 256
/// short sleeps.
/// </remarks>
internal sealed class BusyPolling
{
    /// <summary>Nanoseconds: about what a sleep costs.</summary>
    internal const long Longest = 30_000;

    /// <summary>
    /// Nanoseconds. The end of a sleep that lasts no longer would have come while polling: a good part of it is the way back to the CPU.
    /// </summary>
    internal const long ShortSleep = 2 * Longest;

    /// <summary>
    /// Nanoseconds. Who has worked for less since it woke up has only passed something on, to the thread pool for example: there is
    /// somebody else who needs the CPU.
    /// </summary>
    internal const long LeastWork = 4_000;

    internal const int LeastPenalty = 1;
    internal const int MostPenalty = 256;

    private bool _lastSleepWasShort;
    private int _penalty = LeastPenalty;
    private int _toPay;

    internal bool IsWorthwhile(long workedFor) => workedFor >= LeastWork && _lastSleepWasShort && _toPay == 0;

    /// <summary>It has polled, and found something.</summary>
    internal void OnFound() => _penalty = Math.Max(LeastPenalty, _penalty / 2);

    /// <summary>It has polled for as long as it may, and goes to sleep.</summary>
    internal void OnFoundNothing()
    {
        _toPay = _penalty;
        _penalty = Math.Min(MostPenalty, _penalty * 2);
    }

    internal void OnSlept(long nanoseconds)
    {
        _lastSleepWasShort = nanoseconds <= ShortSleep;
        if (_lastSleepWasShort && _toPay > 0)
        {
            _toPay--;
        }
    }
}
