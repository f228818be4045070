using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

/// <summary>A descriptor that a test has registered with a poller, and the waiters that it parks there.</summary>
internal sealed class PolledFile
{
    private readonly Poller _poller;
    private readonly PollDescriptor? _slot;

    internal PolledFile(Poller poller, int fd, PollInterest interest = PollInterest.Everything)
    {
        _poller = poller;
        Fd = fd;
        Assert.Equal(Errno.Success, poller.Open(fd, Hangup, ref _slot, interest));
    }

    internal int Fd { get; }

    internal PollDescriptor Slot => _slot!;

    internal ParkedWaiter Hangup { get; } = new();

    /// <summary>The last that was parked in each direction.</summary>
    internal ParkedWaiter Reader { get; private set; } = new();

    internal ParkedWaiter Writer { get; private set; } = new();

    internal PollResult ParkReader()
    {
        Reader = new ParkedWaiter();
        return Reader.Parked(Slot.BeginWait(PollMode.Read, Reader));
    }

    internal PollResult ParkWriter()
    {
        Writer = new ParkedWaiter();
        return Writer.Parked(Slot.BeginWait(PollMode.Write, Writer));
    }

    /// <summary>Evicts and unregisters. The number stays open.</summary>
    internal void Close()
    {
        WokenWaiters woken = Slot.Evict();
        ((ParkedWaiter?)woken.Reader)?.Wake();
        ((ParkedWaiter?)woken.Writer)?.Wake();
        _poller.Close(Fd, Slot);
    }
}
