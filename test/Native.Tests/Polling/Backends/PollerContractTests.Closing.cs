using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

// Closing, in every state, and what is behind a number afterwards.
public abstract partial class PollerContractTests
{
    /// <summary>What goes on when a file is closed.</summary>
    [Flags]
    public enum States
    {
        Idle = 0,
        ReaderParked = 1,
        WriterParked = 2,
        InputPending = 4,
        HungUp = 8,
        ThreadWaits = 16,
    }

    public static TheoryData<States> EveryState => [.. Enumerable.Range(0, 32).Select(state => (States)state)];

    [Theory]
    [MemberData(nameof(EveryState))]
    public void A_close_releases_whoever_waits_and_nobody_else(States state)
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        Fill(ours);
        Pump();
        bool stopped = false;
        Thread? pump = state.HasFlag(States.ThreadWaits) ? StartPump(() => Volatile.Read(ref stopped)) : null;
        file.Slot.Prepare(PollMode.Read);
        file.Slot.Prepare(PollMode.Write);
        bool reads = state.HasFlag(States.ReaderParked) && file.ParkReader() == PollResult.Pending;
        bool writes = state.HasFlag(States.WriterParked) && file.ParkWriter() == PollResult.Pending;
        if (state.HasFlag(States.InputPending))
        {
            Write(theirs);
        }

        if (state.HasFlag(States.HungUp))
        {
            CloseNumber(theirs);
        }

        file.Close();
        CloseNumber(ours);

        Assert.Equal(reads ? 1 : 0, file.Reader.Wakes);
        Assert.Equal(writes ? 1 : 0, file.Writer.Wakes);
        Assert.Equal(0, _poller.Table.OpenCount);

        // The poller goes on, with the same slot.
        (int next, int peer) = SocketPair();
        PolledFile second = new(_poller, next);
        Assert.Same(file.Slot, second.Slot);
        second.Slot.Prepare(PollMode.Read);
        if (second.ParkReader() == PollResult.Pending)
        {
            Write(peer);
            if (pump is null)
            {
                PumpUntilWoken(second.Reader);
            }

            Patience.Until(() => second.Reader.Wakes == 1, "the next file's reader is woken");
        }

        Volatile.Write(ref stopped, true);
        _poller.Wake();
        pump?.JoinInTime();
        second.Close();
        Assert.False(second.Slot.HangupSeen);
    }

    /// <summary>A thread that waits must not keep the file open: the peer would not learn of its end, and a port would stay in use.</summary>
    [Fact]
    public void A_close_closes_while_a_thread_waits()
    {
        bool stopped = false;
        Thread pump = StartPump(() => Volatile.Read(ref stopped));
        for (int round = 0; round < 20; round++)
        {
            (int ours, int theirs) = SocketPair();
            PolledFile file = new(_poller, ours);
            file.Slot.Prepare(PollMode.Read);
            file.ParkReader();
            file.Close();
            CloseNumber(ours);
            Assert.Equal(0, Read(theirs).LongValue);
        }

        Volatile.Write(ref stopped, true);
        _poller.Wake();
        pump.JoinInTime();
    }

    /// <summary>The number, and perhaps the slot, are another file's at once; what happens to the old file's peer is nothing to it.</summary>
    [Fact]
    public void A_number_that_is_used_again_at_once_is_another_file()
    {
        bool stopped = false;
        Thread pump = StartPump(() => Volatile.Read(ref stopped));
        List<int> numbers = [];
        for (int round = 0; round < 50; round++)
        {
            (int ours, int theirs) = SocketPair();
            numbers.Add(ours);
            PolledFile file = new(_poller, ours);
            file.Slot.Prepare(PollMode.Read);
            if (file.ParkReader() == PollResult.Pending)
            {
                Assert.False(file.Slot.HangupSeen);
                Write(theirs);
                Patience.Until(() => file.Reader.Wakes == 1, "the reader is woken");
                Assert.Equal(PollResult.Ready, file.Slot.EndWait(PollMode.Read));
                Assert.Equal(1, Read(ours).Value);
            }

            CloseNumber(theirs);
            file.Close();
            CloseNumber(ours);
        }

        Volatile.Write(ref stopped, true);
        _poller.Wake();
        pump.JoinInTime();
        Assert.True(numbers.Distinct().Count() < numbers.Count, "No number was used again.");
    }

    /// <summary>A stranger has closed the number, which is somebody else's by now: his registration stays.</summary>
    [Fact]
    public void A_close_of_a_lost_number_leaves_the_strangers_registration()
    {
        PolledFile lost;
        int strangers;
        int other;
        while (true)
        {
            (int ours, int theirs) = SocketPair();
            lost = new PolledFile(_poller, ours);
            CloseNumber(theirs);
            CloseNumber(ours);
            (int next, int peer) = SocketPair();
            if (next == ours || peer == ours)
            {
                (strangers, other) = next == ours ? (next, peer) : (peer, next);
                break;
            }

            // A test that runs beside this one has got the number, and keeps it.
            lost.Slot.Evict();
            _poller.Close(lost.Fd, lost.Slot, keepsNumber: false);
        }

        PolledFile stranger = new(_poller, strangers);

        lost.Slot.Evict();
        _poller.Close(lost.Fd, lost.Slot, keepsNumber: false);

        Pump();
        stranger.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, stranger.ParkReader());
        Write(other);
        PumpUntilWoken(stranger.Reader);
        stranger.Close();
    }

    [Fact]
    public void The_backend_closes_with_its_last_file()
    {
        (int ours, int theirs) = SocketPair();
        Poller poller = Create(_systemCalls, new DeadlineHeap());
        PolledFile file = new(poller, ours);
        poller.Dispose();
        file.Close();
        PollDescriptor? slot = null;
        Assert.Throws<ObjectDisposedException>(() => poller.Open(theirs, null, ref slot));
    }
}
