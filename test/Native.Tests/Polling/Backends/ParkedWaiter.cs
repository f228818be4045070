using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

/// <summary>Counts how often it is handed out: that is to happen once, if it was parked.</summary>
internal sealed class ParkedWaiter : PollWaiter
{
    private int _wakes;

    internal bool IsParked { get; private set; }

    internal int Wakes => Volatile.Read(ref _wakes);

    internal bool Waits => IsParked && Wakes == 0;

    internal PollResult Parked(PollResult result)
    {
        IsParked = result == PollResult.Pending;
        return result;
    }

    internal void Wake() => Interlocked.Increment(ref _wakes);
}
