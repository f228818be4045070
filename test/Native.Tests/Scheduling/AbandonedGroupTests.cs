using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>The runtime is disposed of, and a turn does not end: nobody waits behind it for ever.</summary>
public sealed class AbandonedGroupTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_waits_behind_a_turn_that_does_not_end_runs_on_the_thread_pool(int workers)
    {
        ObservedKernel systemCalls = new();
        using NetpollRuntime runtime = CreateRuntime(workers, systemCalls, out string name);
        WorkerGroup group = runtime.Groups[0];
        int onThreadPool = 0;
        CallbackTurn[] queued = [.. Enumerable.Range(0, 5).Select(_ => new CallbackTurn(() =>
            Interlocked.Add(ref onThreadPool, Thread.CurrentThread.IsThreadPoolThread ? 1 : 0)))];
        using Blockage blockage = new(BlockageKind.Event);
        for (int i = 0; i < workers; i++)
        {
            group.Schedule(new CallbackTurn(blockage.Block));
        }

        blockage.WaitUntilEntered(workers);

        // The holder of the processor would have put it there, had it fetched it together with the turn it is in.
        Assert.True(group.Processors[^1].Queue.TryPush(queued[0]));
        Assert.True(group.Processors[^1].Queue.TryPush(queued[1]));
        Assert.True(group.Processors[0].Queue.TryPush(queued[2]));
        group.Schedule(queued[3]);
        runtime.Dispose();
        Patience.Until(() => Array.TrueForAll(queued[..4], turn => turn.Runs != 0), "what was there has run");
        group.Schedule(queued[4]);
        Patience.Until(() => Array.TrueForAll(queued, turn => turn.Runs != 0), "all have run");
        Assert.Equal((queued.Length, 0), (onThreadPool, blockage.Left));

        blockage.Release();
        Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
        Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
        Assert.All(queued, turn => Assert.Equal(1, turn.Runs));
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>And when they come back, after the end of everything, what they use is still there.</summary>
    [Theory]
    [InlineData(1, 1, 1, BlockageKind.Event)]
    [InlineData(2, 2, 20, BlockageKind.Sleep)]
    [InlineData(4, 2, 20, BlockageKind.KernelRead)]
    [InlineData(4, 1, 3, BlockageKind.Computing)]
    public void Threads_that_stay_in_their_turns_are_counted_and_the_others_leave(int workers, int groups, int turns, BlockageKind kind)
    {
        ObservedKernel systemCalls = new();
        string name = WorkerThreads.NewName();
        NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers, GroupCount = groups, Name = name }, systemCalls);
        List<StreamSocket> peers = [];
        List<CallbackTurn> later = [];
        int sent = 0;
        using Blockage blockage = new(kind);
        for (int i = 0; i < turns; i++)
        {
            (StreamSocket socket, StreamSocket peer) = SocketPairs.CreateStarted(runtime);
            peers.Add(peer);
            CallbackTurn next = new();
            later.Add(next);
            socket.Group.Schedule(new CallbackTurn(() =>
            {
                blockage.Block();
                Interlocked.Add(ref sent, socket.Send("x"u8).Value);
                socket.SetReadDeadline(MonotonicClock.Now);
                socket.Close();
                socket.Group.Schedule(next);
            }));
        }

        blockage.WaitUntilEntered(turns);
        Assert.Equal(turns, runtime.Stop(TimeSpan.FromMilliseconds(20)));
        Patience.Until(() => WorkerThreads.Count(name) == turns, "the other threads are gone");
        Assert.Equal(0, runtime.Stop(TimeSpan.Zero));

        blockage.Release();
        Patience.Until(() => later.TrueForAll(turn => turn.Runs == 1), "all have come back");
        Assert.Equal(turns, Volatile.Read(ref sent));
        peers.ForEach(peer => peer.Close());
        Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
        Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>Its worker is not waited for, but what waits for its turn, or is scheduled later, does not wait either.</summary>
    [Fact]
    public void A_turn_that_disposes_of_the_runtime_may_wait_for_others()
    {
        ObservedKernel systemCalls = new();
        NetpollRuntime runtime = CreateRuntime(1, systemCalls, out string name);
        WorkerGroup group = runtime.Groups[0];
        CallbackTurn before = new(), after = new();
        bool ran = false;
        CallbackTurn disposing = new(() =>
        {
            group.Schedule(before);
            runtime.Dispose();
            group.Schedule(after);
            ran = SpinWait.SpinUntil(() => before.Runs + after.Runs == 2, Patience.Limit);
        });
        group.Schedule(disposing);
        Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
        Assert.True(ran);
        Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>Nobody would see that the turn blocks.</summary>
    [Fact]
    public void What_a_turn_holds_is_sent_without_it()
    {
        using ByHand engine = new();
        HeldTurn output = new();
        Assert.True(output.TryList());
        Worker worker = new(engine.Group, "by hand", processor: null);
        worker.Give(engine.Processor, output);
        engine.Processor.Holder = worker;
        engine.Processor.BeginTurn(new CallbackTurn());
        engine.Group.RequestStop();
        engine.Group.Abandon();
        Patience.Until(() => output.Runs == 1, "what it held is sent");
        engine.LeaveOne();
    }

    [Fact]
    public void Closing_a_descriptor_releases_its_waiter_all_the_same()
    {
        ObservedKernel systemCalls = new();
        using NetpollRuntime runtime = CreateRuntime(1, systemCalls, out _);
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        PollResult result = default;
        CallbackTurn waiter = new(() => result = first.EndWaitReadable());
        Assert.Equal(PollResult.Pending, first.BeginWaitReadable(waiter));
        using (Blockage blockage = new(BlockageKind.Event))
        {
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
            blockage.WaitUntilEntered();
            runtime.Dispose();
            first.Close();
            second.Close();
            Patience.Until(() => waiter.Runs == 1, "the waiter is released");
            Assert.Equal(0, blockage.Left);
        }

        Assert.Equal(PollResult.Closing, result);
        Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>What it had in its hands when the group was abandoned is not left to the turn that does not end.</summary>
    [Fact]
    public void A_worker_that_leaves_later_leaves_nothing_behind()
    {
        using ByHand engine = new();
        CallbackTurn turn = new();
        engine.Group.RequestStop();
        engine.Group.Abandon();
        Assert.True(engine.Processor.Queue.TryPush(turn));
        engine.LeaveOne();
        Patience.Until(() => turn.Runs == 1, "the turn has run");
        Assert.Equal(1, engine.Group.Pool.Running);
    }

    /// <summary>The turn ends at the moment when it is given up.</summary>
    [Fact]
    public void A_worker_that_leaves_meanwhile_runs_nothing_twice()
    {
        ByHand engine = null!;
        CallbackTurn[] turns = [];
        Rendezvous.Race(
            rounds: 500,
            prepare: round =>
            {
                engine = new ByHand();
                engine.Group.RequestStop();
                turns = [.. Enumerable.Range(0, 1 + (round % RunQueue.Capacity)).Select(_ => new CallbackTurn())];
                Assert.All(turns, turn => Assert.True(engine.Processor.Queue.TryPush(turn)));
            },
            mine: _ => engine.Group.Abandon(),
            other: _ => engine.LeaveOne(),
            check: _ =>
            {
                CallbackTurn late = new();
                engine.Group.Schedule(late);
                Patience.Until(() => Array.TrueForAll([.. turns, late], turn => turn.Runs != 0), "all have run");
                Assert.All(turns, turn => Assert.Equal(1, turn.Runs));
                engine.Dispose();
            });
    }

    /// <summary>Nobody is waited for: the group is given up while its workers leave.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Every_turn_runs_once_whatever_the_workers_are_doing(int workers)
    {
        Random random = SeededRandom.Create();
        for (int round = 0; round < 50; round++)
        {
            ObservedKernel systemCalls = new();
            NetpollRuntime runtime = CreateRuntime(workers, systemCalls, out string name, stopTimeout: TimeSpan.Zero);
            CallbackTurn[] turns = [.. Enumerable.Range(0, 100).Select(_ => new CallbackTurn(() => Thread.SpinWait(100)))];
            Array.ForEach(turns[..50], runtime.Groups[0].Schedule);
            Thread.SpinWait(random.Next(20_000));
            Thread stopper = new(runtime.Dispose) { Name = "stopper" };
            stopper.Start();
            Array.ForEach(turns[50..], runtime.Groups[0].Schedule);
            stopper.JoinInTime();
            Patience.Until(() => Array.TrueForAll(turns, turn => turn.Runs != 0), "all have run");
            Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
            Assert.All(turns, turn => Assert.Equal(1, turn.Runs));
            Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
            Assert.Empty(systemCalls.Violations);
        }
    }

    // At the limit from the start, so that a blocked turn keeps its processor.
    private static NetpollRuntime CreateRuntime(
        int workers, ObservedKernel systemCalls, out string name, TimeSpan? stopTimeout = null)
    {
        name = WorkerThreads.NewName();
        NetpollRuntimeOptions options = new()
        {
            WorkerCount = workers,
            MaxWorkerCount = workers,
            StopTimeout = stopTimeout ?? TimeSpan.FromMilliseconds(20),
            Name = name,
        };
        return new NetpollRuntime(options, systemCalls);
    }

    /// <summary>A group of two workers: one that the test is, and one that stays in its turn.</summary>
    private sealed class ByHand : IDisposable
    {
        private readonly ThreadLocal<Worker?> _current = new();
        private readonly EpollPoller _poller;

        internal ByHand()
        {
            SimulatedKernel kernel = new();
            _poller = new EpollPoller(kernel, new DeadlineHeap(), EpollEventLayout.Current);
            Group = Groups.CreateByHand(processors: 2, batchSize: 1, _poller, kernel, _current);
            Group.Pool.Enter();
        }

        internal WorkerGroup Group { get; }

        internal Processor Processor => Group.Processors[0];

        internal void LeaveOne()
        {
            Group.GiveUp(Processor);
            Group.OnWorkerStopped(new Worker(Group, "by hand", Processor));
        }

        public void Dispose()
        {
            _poller.Dispose();
            _current.Dispose();
        }
    }
}
