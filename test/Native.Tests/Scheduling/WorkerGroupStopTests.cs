using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class WorkerGroupStopTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Stopping_leaves_no_thread_and_no_descriptor(int workers)
    {
        for (int round = 0; round < 50; round++)
        {
            ObservedKernel systemCalls = new();
            NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out string name, systemCalls);
            if (round % 2 == 0)
            {
                Patience.Until(() => systemCalls.Waits >= workers, "the workers have fallen asleep");
                Assert.Equal(workers, WorkerThreads.Count(name));
            }

            runtime.Dispose();
            runtime.Dispose();

            // Joined threads may take a moment to leave the process's list.
            Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
            Assert.Empty(systemCalls.OpenDescriptors);
            Assert.Empty(systemCalls.Violations);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void A_turn_scheduled_after_the_stop_still_runs(int workers)
    {
        NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        runtime.Dispose();
        using ManualResetEventSlim ran = new();
        runtime.Groups[0].Schedule(new CallbackTurn(ran.Set));
        ran.WaitInTime("the turn has run");

        using ManualResetEventSlim reported = new();
        runtime.Groups[0].Schedule(new CallbackTurn(() => throw new InvalidOperationException("on purpose"), _ => reported.Set()));
        reported.WaitInTime("the failure is reported");
    }

    /// <summary>Scheduling races with the stop: every turn runs, once, on a worker or afterwards.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void No_turn_is_lost_while_stopping(int workers)
    {
        for (int round = 0; round < 100; round++)
        {
            ObservedKernel systemCalls = new();
            NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _, systemCalls);
            List<CallbackTurn> turns = [];
            bool stop = false;
            Thread publisher = new(() =>
            {
                while (!Volatile.Read(ref stop))
                {
                    CallbackTurn turn = new();
                    turns.Add(turn);
                    runtime.Groups[0].Schedule(turn);
                    Thread.SpinWait(50);
                }
            });
            publisher.Start();
            Thread.SpinWait(round * 50);
            runtime.Dispose();
            Volatile.Write(ref stop, true);
            publisher.JoinInTime();

            Patience.Until(() => turns.TrueForAll(turn => turn.Runs != 0), "every turn has run");
            Assert.DoesNotContain(turns, turn => turn.Runs != 1);
            Assert.Empty(systemCalls.Violations);
            Assert.Empty(systemCalls.OpenDescriptors);
        }
    }

    [Fact]
    public void Closing_a_descriptor_after_the_stop_still_releases_its_waiter()
    {
        ObservedKernel systemCalls = new();
        NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, systemCalls);
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        using ManualResetEventSlim released = new();
        PollResult result = default;
        Assert.Equal(PollResult.Pending, first.BeginWaitReadable(new CallbackTurn(() =>
        {
            result = first.EndWaitReadable();
            released.Set();
        })));

        runtime.Dispose();
        first.Close();
        second.Close();

        released.WaitInTime("the waiter is released");
        Assert.Equal(PollResult.Closing, result);
        Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
        Assert.Empty(systemCalls.Violations);
    }

    [Fact]
    public void A_descriptor_that_comes_after_the_end_is_refused_and_not_leaked()
    {
        ObservedKernel systemCalls = new();
        NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, systemCalls);
        runtime.Dispose();
        (StreamSocket first, StreamSocket second) = SocketPairs.Create(runtime);
        Assert.Throws<ObjectDisposedException>(first.Start);
        first.Close();
        second.Close();
        Assert.Empty(systemCalls.OpenDescriptors);
    }

    /// <summary>
    /// A stopper that is held up between deciding to signal and signalling must not find the eventfd closed: the number may be a
    /// stranger's by then. The kernel here holds it up for as long as that takes, or until it is clear that it does not happen.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_signal_that_is_late_does_not_hit_a_closed_descriptor(int workers)
    {
        SlowSignals systemCalls = new();
        NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _, systemCalls);
        using ManualResetEventSlim inTurn = new();
        using ManualResetEventSlim leave = new();
        runtime.Groups[0].Schedule(new CallbackTurn(() =>
        {
            inTurn.Set();
            leave.WaitInTime("the stop has begun");
        }));
        inTurn.WaitInTime("a worker is awake");

        systemCalls.BeforeSignal = () =>
        {
            leave.Set();
            SpinWait.SpinUntil(() => systemCalls.IsEventFdClosed, TimeSpan.FromMilliseconds(300));
        };
        runtime.Dispose();

        Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
        Assert.Empty(systemCalls.Violations);
    }

    private sealed class SlowSignals : ObservedKernel
    {
        private int _eventFd = -1;

        internal Action? BeforeSignal { get; set; }

        internal bool IsEventFdClosed => !OpenDescriptors.Contains(_eventFd);

        protected internal override SyscallResult EventFdOnce(uint initial, int flags)
        {
            SyscallResult result = base.EventFdOnce(initial, flags);
            _eventFd = result.Value;
            return result;
        }

        protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer)
        {
            if (fd == _eventFd)
            {
                BeforeSignal?.Invoke();
            }

            return base.WriteOnce(fd, buffer);
        }
    }
}
