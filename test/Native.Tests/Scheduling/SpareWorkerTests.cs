using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>How many threads there are while turns block, and afterwards.</summary>
public sealed class SpareWorkerTests
{
    // One that is being handed to, and some for turns that take 10 ms on a busy machine without blocking.
    private const int Margin = 8;

    [Fact]
    public void A_worker_whose_turn_has_returned_is_the_next_ones_spare()
    {
        const int Rounds = 200;
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out string name);
        for (int round = 0; round < Rounds; round++)
        {
            using Blockage blockage = new(BlockageKind.Event);
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
            blockage.WaitUntilEntered();
            runtime.WaitForTurn();
            blockage.Release();
            Patience.Until(() => AllButOneAreSpares(runtime), "the worker is a spare");
        }

        Assert.True(runtime.GetStatistics().HandOffs >= Rounds);
        Assert.InRange(WorkerThreads.Count(name), 2, 2 + Margin);
    }

    [Fact]
    public void Spares_end_after_a_while()
    {
        using NetpollRuntime runtime = Create(1, out string name, spareIdleTime: TimeSpan.FromMilliseconds(20));
        using (Blockage blockage = new(BlockageKind.Event))
        {
            for (int i = 0; i < 20; i++)
            {
                runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
            }

            blockage.WaitUntilEntered(20);
        }

        Patience.Until(() => runtime.GetStatistics() is { Workers: 1, SpareWorkers: 0 }, "the spares have ended");
        Patience.Until(() => WorkerThreads.Count(name) == 1, "the threads are gone");
        runtime.WaitForTurn();
    }

    /// <summary>The processor may be there before the thread has looked for the first time; it is a spare afterwards all the same.</summary>
    [Fact]
    public void A_worker_that_gets_its_processor_before_it_runs_is_a_spare_afterwards()
    {
        SlowStarts systemCalls = new();
        NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out string name, systemCalls);
        using (Blockage blockage = new(BlockageKind.Event))
        {
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
            Patience.Until(() => runtime.GetStatistics().HandOffs == 1, "the processor is handed on");
            systemCalls.LetStart();
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
            blockage.WaitUntilEntered(2);
            runtime.WaitForTurn();
        }

        Patience.Until(() => AllButOneAreSpares(runtime), "all but one are spares");
        runtime.Dispose();
        Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
    }

    [Fact]
    public void A_thousand_blocked_turns_take_a_thread_each_and_give_it_back()
    {
        const int Turns = 1000;
        using NetpollRuntime runtime = Create(2, out string name, spareIdleTime: TimeSpan.FromMilliseconds(50));
        CallbackTurn[] turns = new CallbackTurn[Turns];
        using (Blockage blockage = new(BlockageKind.Event))
        {
            for (int i = 0; i < Turns; i++)
            {
                turns[i] = new CallbackTurn(blockage.Block);
                runtime.Groups[0].Schedule(turns[i]);
            }

            blockage.WaitUntilEntered(Turns);
            Assert.InRange(runtime.GetStatistics().Workers, Turns, Turns + 2 + Margin);
        }

        Assert.All(turns, turn => Patience.Until(() => turn.Runs == 1, "all have ended"));
        for (int left = Turns; left >= 2; left--)
        {
            int most = left;
            Patience.Until(() => runtime.GetStatistics().Workers <= most, $"at most {most} workers are left");
        }

        Patience.Until(() => WorkerThreads.Count(name) == 2, "the threads are gone");
        Assert.Equal(0, runtime.GetStatistics().SpareWorkers);
    }

    [Fact]
    public void At_the_limit_turns_wait_and_none_is_lost()
    {
        const int Turns = 50, Maximum = 3;
        using ManualResetEventSlim told = new();
        WorkerLimitReached? reached = null;
        using NetpollRuntime runtime = Create(1, out string name, maxWorkerCount: Maximum, onReached: report =>
        {
            reached = report;
            told.Set();
        });
        CallbackTurn[] turns = new CallbackTurn[Turns];
        using (Blockage blockage = new(BlockageKind.Event))
        {
            for (int i = 0; i < Turns; i++)
            {
                turns[i] = new CallbackTurn(blockage.Block);
                runtime.Groups[0].Schedule(turns[i]);
            }

            blockage.WaitUntilEntered(Maximum);
            told.WaitInTime("it is reported");
            Assert.Equal(new WorkerLimitReached(Maximum, Maximum, null), reached);
            Assert.True(runtime.GetStatistics() is { Workers: Maximum, SpareWorkers: 0, WorkerLimitReached: >= 1 });
            Assert.Equal(Maximum, blockage.Entered);
            blockage.Release();
            Patience.Until(() => Array.TrueForAll(turns, turn => turn.Runs != 0), "all have run");
        }

        Assert.All(turns, turn => Assert.Equal(1, turn.Runs));
        Assert.Equal(Maximum, WorkerThreads.Count(name));
    }

    [Fact]
    public void At_the_limit_a_spare_of_one_group_makes_room_for_another_groups_worker()
    {
        using NetpollRuntime runtime = Create(2, out _, spareIdleTime: TimeSpan.FromHours(1), maxWorkerCount: 4, groupCount: 2);
        using (Blockage first = new(BlockageKind.Event))
        {
            runtime.Groups[0].Schedule(new CallbackTurn(first.Block));
            runtime.Groups[0].Schedule(new CallbackTurn(first.Block));
            first.WaitUntilEntered(2);
            runtime.WaitForTurn();
        }

        Patience.Until(() => runtime.GetStatistics() is { Workers: 4, SpareWorkers: 2 }, "the first group has two spares");
        using Blockage second = new(BlockageKind.Event);
        for (int i = 0; i < 3; i++)
        {
            runtime.Groups[1].Schedule(new CallbackTurn(second.Block));
        }

        second.WaitUntilEntered(3);
        Assert.Equal(0, second.Left);
        Assert.True(runtime.GetStatistics() is { Workers: <= 4, SpareWorkers: 0 });
    }

    private static bool AllButOneAreSpares(NetpollRuntime runtime)
    {
        NetpollStatistics statistics = runtime.GetStatistics();
        return statistics.SpareWorkers == statistics.Workers - 1;
    }

    private static NetpollRuntime Create(
        int workerCount,
        out string name,
        TimeSpan? spareIdleTime = null,
        int maxWorkerCount = NetpollRuntimeOptions.DefaultMaxWorkerCount,
        Action<WorkerLimitReached>? onReached = null,
        int groupCount = 1)
    {
        name = WorkerThreads.NewName();
        return new NetpollRuntime(new NetpollRuntimeOptions
        {
            WorkerCount = workerCount,
            GroupCount = groupCount,
            MaxWorkerCount = maxWorkerCount,
            SpareIdleTime = spareIdleTime ?? Patience.Limit,
            OnWorkerLimitReached = onReached,
            Name = name,
        });
    }

    /// <summary>The second thread that begins to run, and the later ones, are held up at once.</summary>
    private sealed class SlowStarts : ObservedKernel
    {
        private int _threads;
        private volatile bool _start;

        internal void LetStart() => _start = true;

        protected internal override SyscallResult GetThreadIdOnce()
        {
            if (Interlocked.Increment(ref _threads) > 1)
            {
                Patience.Until(() => _start, "threads may start");
            }

            return base.GetThreadIdOnce();
        }
    }
}
