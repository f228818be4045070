using System.Diagnostics;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

// Threads that wait: for events, for a signal, for a time.
public abstract partial class PollerContractTests
{
    [Fact]
    public void Signals_collapse_until_one_is_taken_in()
    {
        for (int round = 1; round <= 3; round++)
        {
            for (int i = 0; i < 100; i++)
            {
                _poller.Wake();
            }

            Assert.Equal(round, _poller.Wakeups);
            Assert.Empty(Fetch(Forever));
        }
    }

    [Fact]
    public void A_signal_ends_a_wait_without_limit()
    {
        Thread waiter = new(() => _poller.Wait(_poller.CreateBatch(1), Forever)) { IsBackground = true };
        waiter.Start();
        Thread.Sleep(5);
        _poller.Wake();
        waiter.JoinInTime();
    }

    [Fact]
    public void A_signal_wakes_one_of_several()
    {
        int awake = 0;
        Thread[] waiters = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            _poller.Wait(_poller.CreateBatch(1), Forever);
            Interlocked.Increment(ref awake);
        }) { IsBackground = true })];
        Array.ForEach(waiters, waiter => waiter.Start());
        for (int expected = 1; expected <= waiters.Length; expected++)
        {
            _poller.Wake();
            Patience.Until(() => Volatile.Read(ref awake) >= expected, "a thread wakes up");
            Thread.Sleep(2);
            Assert.Equal(expected, Volatile.Read(ref awake));
        }

        Array.ForEach(waiters, waiter => waiter.JoinInTime());
    }

    /// <summary>Ten threads signal, two wait without limit; the last round has no signal left that could be lost.</summary>
    [Fact]
    public void No_signal_of_many_is_lost()
    {
        const int Signallers = 10, Signals = 500;
        int published = 0;
        Thread[] waiters = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            PollEventBatch batch = _poller.CreateBatch(1);
            while (Volatile.Read(ref published) != Signallers * Signals)
            {
                _poller.Wait(batch, Forever);
            }

            _poller.Wake();
        }) { IsBackground = true })];
        Array.ForEach(waiters, waiter => waiter.Start());
        Thread[] signallers = [.. Enumerable.Range(0, Signallers).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < Signals; i++)
            {
                Interlocked.Increment(ref published);
                _poller.Wake();
            }
        }))];
        Array.ForEach(signallers, signaller => signaller.Start());
        Array.ForEach(signallers, signaller => signaller.JoinInTime());
        Array.ForEach(waiters, waiter => waiter.JoinInTime());
    }

    [Fact]
    public void Each_event_goes_to_one_of_the_threads_that_wait()
    {
        const int Files = 16, Threads = 4, Rounds = 20;
        bool stopped = false;
        Thread[] pumps = [.. Enumerable.Range(0, Threads).Select(_ => StartPump(() => Volatile.Read(ref stopped)))];
        List<(PolledFile File, int Peer)> files = [];
        for (int i = 0; i < Files; i++)
        {
            (int ours, int theirs) = SocketPair();
            files.Add((new PolledFile(_poller, ours), theirs));
        }

        for (int round = 0; round < Rounds; round++)
        {
            foreach ((PolledFile file, _) in files)
            {
                ParkFresh(file);
            }

            foreach ((_, int peer) in files)
            {
                Write(peer);
            }

            foreach ((PolledFile file, _) in files)
            {
                Patience.Until(() => file.Reader.Wakes != 0, $"a reader is woken, in round {round}");
                Assert.Equal(1, file.Reader.Wakes);
                file.Slot.EndWait(PollMode.Read);
                Assert.Equal(1, Read(file.Fd).Value);
            }
        }

        Volatile.Write(ref stopped, true);
        _poller.Wake();
        Array.ForEach(pumps, pump => pump.JoinInTime());
        files.ForEach(one => one.File.Close());
    }

    /// <summary>The thread that leads has no limit; the other's is kept all the same.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_wait_ends_when_its_time_is_up_and_not_before(bool besideAnother)
    {
        Thread? other = besideAnother ? new(() => _poller.Wait(_poller.CreateBatch(1), Forever)) { IsBackground = true } : null;
        other?.Start();
        foreach (long timeout in (long[])[0, Millisecond / 2, 3 * Millisecond])
        {
            long begun = Stopwatch.GetTimestamp();
            Assert.Empty(Fetch(timeout));
            Assert.True(Stopwatch.GetElapsedTime(begun) >= TimeSpan.FromMicroseconds(timeout / 1000));
        }

        if (other is not null)
        {
            // One for each, should this thread be asked to lead meanwhile.
            _poller.Wake();
            other.JoinInTime();
        }
    }

    /// <summary>The one that led takes the event and goes; the one that is left must see the next.</summary>
    [Fact]
    public void Whoever_is_left_waits_for_events()
    {
        (int ours, int theirs) = SocketPair();
        (int second, int secondPeer) = SocketPair();
        PolledFile first = new(_poller, ours);
        PolledFile other = new(_poller, second);
        Pump();
        first.Slot.Prepare(PollMode.Read);
        other.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, first.ParkReader());
        Assert.Equal(PollResult.Pending, other.ParkReader());
        Thread[] waiters = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            PollEventBatch batch = _poller.CreateBatch(1);
            ReadyList ready = new(1);
            while (ready.Count == 0)
            {
                // Until it has an event that is not spurious.
                _poller.Wait(batch, Forever);
                for (int i = 0; i < batch.Count; i++)
                {
                    _poller.Dispatch(in batch[i], ready);
                }
            }

            ((ParkedWaiter)ready.Take(0)).Wake();
        }) { IsBackground = true })];
        Array.ForEach(waiters, waiter => waiter.Start());

        Write(theirs);
        Patience.Until(() => first.Reader.Wakes == 1, "the first is woken");
        Write(secondPeer);
        Patience.Until(() => other.Reader.Wakes == 1, "the other is woken");

        Array.ForEach(waiters, waiter => waiter.JoinInTime());
        first.Close();
        other.Close();
    }

    [Fact]
    public void Events_that_nobody_has_fetched_are_known()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        Pump();
        file.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, file.ParkReader());
        Assert.False(_poller.HasEvents);
        Write(theirs);
        Patience.Until(() => _poller.HasEvents, "there are events");
        Assert.True(_poller.HasEvents);
        Pump();
        Assert.Equal(1, file.Reader.Wakes);
        Assert.False(_poller.HasEvents);
        file.Close();
    }

    [Fact]
    public void A_wait_fetches_no_more_than_its_batch_may_take()
    {
        List<PolledFile> files = [];
        for (int i = 0; i < 5; i++)
        {
            (int ours, int theirs) = SocketPair();
            PolledFile file = new(_poller, ours);
            Pump();
            file.Slot.Prepare(PollMode.Read);
            Assert.Equal(PollResult.Pending, file.ParkReader());
            Write(theirs);
            files.Add(file);
            Patience.Until(() => _poller.HasEvents, "the event is there");
            if (i < 4)
            {
                Pump();
                file.Slot.EndWait(PollMode.Read);
                file.Slot.Prepare(PollMode.Read);
                Read(file.Fd);
                Assert.Equal(PollResult.Pending, file.ParkReader());
                Write(theirs);
            }
        }

        _batch.Limit = 2;
        List<int> counts = [];
        Patience.Until(
            () =>
            {
                List<PollEvent> events = Fetch(Millisecond);
                counts.Add(events.Count);
                events.ForEach(one => Dispatch(in one));
                return files.All(file => file.Reader.Wakes == 1);
            },
            "all are woken");
        Assert.All(counts, count => Assert.InRange(count, 0, 2));
        files.ForEach(file => file.Close());
    }

    // Whatever was latched is used up first.
    private static void ParkFresh(PolledFile file)
    {
        do
        {
            file.Slot.Prepare(PollMode.Read);
        }
        while (file.ParkReader() != PollResult.Pending);
    }
}
