using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

// Edges: none is lost, none is another's.
public abstract partial class PollerContractTests
{
    [Fact]
    public void A_waiter_learns_of_what_came_before_it()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        Write(theirs);
        Pump();

        AwaitReadable(file);

        Assert.Equal(1, Read(ours).Value);
        file.Close();
    }

    [Fact]
    public void A_waiter_learns_of_what_comes_after_it_once()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        for (int round = 0; round < 3; round++)
        {
            Pump();
            file.Slot.Prepare(PollMode.Read);
            Assert.Equal(PollResult.Pending, file.ParkReader());
            Pump();
            Assert.True(file.Reader.Waits);

            Write(theirs);
            PumpUntilWoken(file.Reader);
            Pump();

            Assert.Equal(1, file.Reader.Wakes);
            Assert.Equal(PollResult.Ready, file.Slot.EndWait(PollMode.Read));
            Assert.Equal(1, Read(ours).Value);
        }

        file.Close();
    }

    /// <summary>The direction is armed, and nobody is parked: cancelled, for example.</summary>
    [Fact]
    public void An_edge_that_finds_nobody_is_latched()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        Pump();
        file.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, file.ParkReader());
        Assert.Same(file.Reader, file.Slot.Wake(PollMode.Read));
        Assert.Equal(PollResult.Ready, file.Slot.EndWait(PollMode.Read));

        Write(theirs);
        Pump();

        Assert.Equal(PollResult.Ready, file.ParkReader());
        file.Close();
    }

    [Fact]
    public void A_spurious_edge_costs_one_retry()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        Pump();
        file.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, file.ParkReader());
        PollEvent spurious = new(file.Slot.Cookie, PollReadiness.Readable | PollReadiness.Writable);
        Assert.True(Dispatch(in spurious));
        Assert.Equal(1, file.Reader.Wakes);
        Assert.Equal(PollResult.Ready, file.Slot.EndWait(PollMode.Read));
        Assert.True(Read(ours).WouldBlock);

        Assert.Equal(PollResult.Pending, file.ParkReader());
        Write(theirs);
        PumpUntilWoken(file.Reader);
        file.Close();
    }

    [Fact]
    public void A_writer_is_woken_when_there_is_room()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        Fill(ours);
        Pump();
        file.Slot.Prepare(PollMode.Write);
        Assert.Equal(PollResult.Pending, file.ParkWriter());
        Pump();
        Assert.True(file.Writer.Waits);

        byte[] block = new byte[64 * 1024];
        while (_systemCalls.Read(theirs, block).IsSuccess) { }

        PumpUntilWoken(file.Writer);
        Assert.Equal(PollResult.Ready, file.Slot.EndWait(PollMode.Write));
        file.Close();
    }

    /// <summary>The bug that this project starts from: an event is fetched, its file is closed, and the slot is another's.</summary>
    [Fact]
    public void An_event_of_a_closed_file_does_nothing_to_the_next_one_in_its_slot()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile closed = new(_poller, ours);
        Pump();
        closed.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, closed.ParkReader());
        CloseNumber(theirs);
        List<PollEvent> stale = FetchSome();
        closed.Close();
        CloseNumber(ours);

        (int next, _) = SocketPair();
        PolledFile file = new(_poller, next);
        Assert.Same(closed.Slot, file.Slot);
        Pump();
        file.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, file.ParkReader());

        Assert.All(stale, one => Assert.False(Dispatch(in one)));

        Assert.True(file.Reader.Waits);
        Assert.Equal(0, file.Hangup.Wakes);
        Assert.False(file.Slot.HangupSeen);
        file.Close();
    }

    /// <summary>What nobody has fetched yet is dropped by the kernel, or known by its fdseq.</summary>
    [Fact]
    public void An_event_that_is_pending_when_its_file_is_closed_does_nothing_either()
    {
        (int ours, int theirs) = SocketPair();
        (int second, int secondPeer) = SocketPair();
        PolledFile closed = new(_poller, ours);
        PolledFile other = new(_poller, second);
        Pump();
        foreach (PolledFile waiting in (PolledFile[])[other, closed])
        {
            waiting.Slot.Prepare(PollMode.Read);
            Assert.Equal(PollResult.Pending, waiting.ParkReader());
        }

        CloseNumber(theirs);
        Write(secondPeer);
        _batch.Limit = 1;
        List<PollEvent> first = FetchSome();
        _batch.Limit = _batch.Capacity;
        closed.Close();
        CloseNumber(ours);
        (int next, _) = SocketPair();
        PolledFile file = new(_poller, next);
        first.ForEach(one => Dispatch(in one));
        Pump();

        Assert.False(file.Slot.HangupSeen);
        Assert.Equal(0, file.Hangup.Wakes);
        Assert.Equal(1, other.Reader.Wakes);
        other.Close();
        file.Close();
    }

    [Fact]
    public void A_byte_at_a_time_between_threads_is_never_lost()
    {
        const int Bytes = 2_000;
        (int ours, int theirs) = Pipe();
        PolledFile file = new(_poller, ours);
        bool stopped = false;
        Thread[] pumps = [StartPump(() => Volatile.Read(ref stopped)), StartPump(() => Volatile.Read(ref stopped))];
        Thread writer = new(() =>
        {
            for (int i = 0; i < Bytes; i++)
            {
                Write(theirs);
                Thread.SpinWait(i % 64);
            }
        });
        writer.Start();

        for (int received = 0; received < Bytes;)
        {
            file.Slot.Prepare(PollMode.Read);
            SyscallResult read = Read(ours);
            if (read.IsSuccess)
            {
                received += read.Value;
            }
            else if (file.ParkReader() == PollResult.Pending)
            {
                Patience.Until(() => file.Reader.Wakes != 0, $"the reader is woken, after {received} bytes");
                file.Slot.EndWait(PollMode.Read);
            }
        }

        writer.JoinInTime();
        Volatile.Write(ref stopped, true);
        _poller.Wake();
        Array.ForEach(pumps, pump => pump.JoinInTime());
        file.Close();
    }

    private List<PollEvent> FetchSome()
    {
        List<PollEvent> events = [];
        Patience.Until(() => (events = Fetch(Millisecond)).Count != 0, "there is an event");
        return events;
    }
}
