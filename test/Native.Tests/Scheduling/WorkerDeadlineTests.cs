using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Deadlines need a worker that wakes up for them, whoever sets them and whatever the other workers do.</summary>
public sealed class WorkerDeadlineTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void A_deadline_set_while_all_sleep_fires_and_not_early(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        using TimedWait wait = new(runtime);
        for (int round = 0; round < 200; round++)
        {
            long deadline = wait.Begin(TimeSpan.FromMicroseconds(50 + (round * 10)));
            Assert.Equal(PollResult.TimedOut, wait.End(out long firedAt));
            Assert.True(firedAt >= deadline, $"fired {deadline - firedAt} ns early");
        }
    }

    /// <summary>The window is the moment at which a worker falls asleep, right after the turn that the last deadline released.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void A_deadline_set_while_a_worker_falls_asleep_fires(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        using TimedWait wait = new(runtime);
        Random random = SeededRandom.Create();
        for (int round = 0; round < 5000; round++)
        {
            wait.Begin(TimeSpan.FromMicroseconds(random.Next(40)));
            Assert.Equal(PollResult.TimedOut, wait.End(out _));
            Thread.SpinWait(random.Next(40));
        }
    }

    [Fact]
    public void A_deadline_fires_while_one_worker_is_busy_and_another_sleeps()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        using TimedWait wait = new(runtime);
        for (int round = 0; round < 100; round++)
        {
            using Blocker blocker = new(runtime, 1);
            wait.Begin(TimeSpan.FromMilliseconds(1));
            Assert.Equal(PollResult.TimedOut, wait.End(out _));
        }
    }

    /// <summary>The worker that was going to wake up for the deadline is given a turn that blocks: it must hand the watch over.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void A_worker_that_becomes_busy_passes_the_deadline_on(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        using TimedWait wait = new(runtime);
        for (int round = 0; round < 50; round++)
        {
            wait.Begin(TimeSpan.FromMilliseconds(5));
            using Blocker blocker = new(runtime, workers - 1);
            Assert.Equal(PollResult.TimedOut, wait.End(out _));
        }
    }

    /// <summary>The same, with turns that events release rather than queued ones.</summary>
    [Fact]
    public void A_worker_that_an_event_makes_busy_passes_the_deadline_on()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        using TimedWait wait = new(runtime);
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        byte[] one = new byte[1];
        for (int round = 0; round < 50; round++)
        {
            using ManualResetEventSlim busy = new();
            using ManualResetEventSlim leave = new();
            using ManualResetEventSlim left = new();
            CallbackTurn blocking = new(() =>
            {
                first.EndWaitReadable();
                busy.Set();
                leave.WaitInTime("the deadline has fired");
                left.Set();
            });
            wait.Begin(TimeSpan.FromMilliseconds(5));
            PollResult begun;
            while ((begun = first.BeginWaitReadable(blocking)) == PollResult.Ready)
            {
            }

            Assert.Equal(PollResult.Pending, begun);
            second.Send(one);
            busy.WaitInTime("a worker is busy");
            Assert.Equal(PollResult.TimedOut, wait.End(out _));
            leave.Set();
            left.WaitInTime("the turn has ended");
            first.Receive(one);
        }

        first.Close();
        second.Close();
    }

    [Fact]
    public void A_deadline_set_by_a_turn_that_then_blocks_fires_on_another_worker()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        using TimedWait wait = new(runtime);
        for (int round = 0; round < 50; round++)
        {
            using ManualResetEventSlim set = new();
            using ManualResetEventSlim leave = new();
            using ManualResetEventSlim left = new();
            runtime.Groups[0].Schedule(new CallbackTurn(() =>
            {
                wait.Begin(TimeSpan.FromMilliseconds(1));
                set.Set();
                leave.WaitInTime("the deadline has fired");
                left.Set();
            }));
            set.WaitInTime("the deadline is set");
            Assert.Equal(PollResult.TimedOut, wait.End(out _));
            leave.Set();
            left.WaitInTime("the turn has ended");
        }
    }

    [Fact]
    public void An_earlier_deadline_overtakes_the_one_that_is_slept_for()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using TimedWait far = new(runtime);
        using TimedWait near = new(runtime);
        far.Begin(TimeSpan.FromHours(1));
        for (int round = 0; round < 50; round++)
        {
            near.Begin(TimeSpan.FromMicroseconds(500));
            Assert.Equal(PollResult.TimedOut, near.End(out _));
        }

        Assert.False(far.HasEnded);
        far.Expire();
        Assert.Equal(PollResult.TimedOut, far.End(out _));
    }

    /// <summary>The only worker always has a turn of some connection to run: a deadline that is due comes next all the same.</summary>
    [Fact]
    public void A_queue_that_is_never_empty_delays_a_deadline_by_a_turn_or_two()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        using TimedWait wait = new(runtime);
        long due = long.MaxValue;
        int begunSinceDue = 0;
        bool stop = false;
        CallbackTurn? busy = null;
        busy = new CallbackTurn(() =>
        {
            if (MonotonicClock.Now >= Volatile.Read(ref due) && !wait.HasEnded)
            {
                begunSinceDue++;
            }

            if (!Volatile.Read(ref stop))
            {
                runtime.Groups[0].Schedule(busy!);
            }
        });

        // More than one, so that the queue is not empty while one of them runs.
        for (int i = 0; i < 100; i++)
        {
            runtime.Groups[0].Schedule(busy);
        }

        for (int round = 0; round < 20; round++)
        {
            Volatile.Write(ref due, wait.Begin(TimeSpan.FromMilliseconds(1)));
            Assert.Equal(PollResult.TimedOut, wait.End(out _));
            Volatile.Write(ref due, long.MaxValue);
        }

        Volatile.Write(ref stop, true);
        runtime.WaitForTurn();

        // The one in which the time came, and perhaps one of those that every 61st time go first.
        Assert.InRange(begunSinceDue, 0, 20 * 2);
    }

    /// <summary>
    /// Rounded down to milliseconds, 0.3 ms would be a busy loop: a worker sleeps once or twice for each deadline, with either call.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_short_deadline_is_slept_for(bool millisecondsOnly)
    {
        CoarseSystemCalls systemCalls = new() { MillisecondsOnly = millisecondsOnly };
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, BusyPolls = false, Name = "test" }, systemCalls);
        using TimedWait wait = new(runtime);
        int before = systemCalls.Waits;
        const int Rounds = 50;
        for (int round = 0; round < Rounds; round++)
        {
            wait.Begin(TimeSpan.FromMicroseconds(300));
            Assert.Equal(PollResult.TimedOut, wait.End(out _));
        }

        // One sleep that the new deadline ends, one for the deadline, and some that other things end.
        Assert.InRange(systemCalls.Waits - before, 1, Rounds * 5);
    }

    private sealed class CoarseSystemCalls : ObservedKernel
    {
        internal bool MillisecondsOnly { get; init; }

        protected internal override SyscallResult EpollPwait2Once(
            int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds) =>
            MillisecondsOnly ? SyscallResult.Failure(Errno.ENOSYS) : base.EpollPwait2Once(epfd, buffer, maxEvents, timeoutNanoseconds);
    }

    /// <summary>Keeps workers busy from its making to its disposal.</summary>
    private sealed class Blocker : IDisposable
    {
        private readonly ManualResetEventSlim _leave = new();
        private readonly CountdownEvent _busy;
        private readonly CountdownEvent _left;

        internal Blocker(NetpollRuntime runtime, int workers)
        {
            _busy = new CountdownEvent(workers);
            _left = new CountdownEvent(workers);
            for (int i = 0; i < workers; i++)
            {
                runtime.Groups[0].Schedule(new CallbackTurn(() =>
                {
                    _busy.Signal();
                    _leave.WaitInTime("the blocker is disposed");
                    _left.Signal();
                }));
            }

            Assert.True(_busy.Wait(Patience.Limit));
        }

        public void Dispose()
        {
            _leave.Set();
            Assert.True(_left.Wait(Patience.Limit));
            _leave.Dispose();
            _busy.Dispose();
            _left.Dispose();
        }
    }

    /// <summary>A read that can only end by its deadline.</summary>
    private sealed class TimedWait : IDisposable
    {
        private readonly StreamSocket _socket;
        private readonly StreamSocket _silent;
        private readonly ManualResetEventSlim _ended = new();
        private readonly CallbackTurn _turn;
        private PollResult _result;
        private long _endedAt;

        internal TimedWait(NetpollRuntime runtime)
        {
            (_socket, _silent) = SocketPairs.CreateStarted(runtime);
            _turn = new CallbackTurn(() =>
            {
                _endedAt = MonotonicClock.Now;
                _result = _socket.EndWaitReadable();
                _ended.Set();
            });
        }

        internal bool HasEnded => _ended.IsSet;

        internal long Begin(TimeSpan delay)
        {
            _ended.Reset();
            _socket.Group.SetDeadline(_socket.Poll!, PollMode.Read, PollDeadline.None);
            PollResult begun;
            while ((begun = _socket.BeginWaitReadable(_turn)) == PollResult.Ready)
            {
            }

            Assert.Equal(PollResult.Pending, begun);
            long deadline = MonotonicClock.After(delay);
            _socket.Group.SetDeadline(_socket.Poll!, PollMode.Read, deadline);
            return deadline;
        }

        internal void Expire() => _socket.Group.SetDeadline(_socket.Poll!, PollMode.Read, PollDeadline.Expired);

        internal PollResult End(out long endedAt)
        {
            Patience.Until(() => _ended.IsSet, "the deadline fires");
            endedAt = _endedAt;
            return _result;
        }

        public void Dispose()
        {
            _socket.Close();
            _silent.Close();
            _ended.Dispose();
        }
    }
}
