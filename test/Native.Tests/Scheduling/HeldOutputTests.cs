using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Output that a turn, or other code, holds is sent by whoever comes first, and never forgotten.</summary>
public sealed class HeldOutputTests
{
    [Fact]
    public void What_a_turn_holds_is_sent_on_its_thread_as_it_ends()
    {
        const int Rounds = 20;
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        WorkerGroup group = runtime.Groups[0];
        int atTheEnd = 0;
        for (int i = 0; i < Rounds; i++)
        {
            int turnThread = 0, sentAtOnce = 0;
            int[] sendThreads = new int[10];
            HeldTurn[] outputs = [.. sendThreads.Select((_, k) => new HeldTurn(() => sendThreads[k] = Environment.CurrentManagedThreadId))];
            group.Schedule(new CallbackTurn(() =>
            {
                turnThread = Environment.CurrentManagedThreadId;
                Array.ForEach(outputs, output => Hold(group, output));
                sentAtOnce = outputs.Sum(static output => output.Runs);
            }));
            Patience.Until(() => outputs.All(static output => output.Runs != 0), "everything is sent");
            runtime.WaitForTurn();
            Assert.All(outputs, static output => Assert.True(output.TryList()));
            atTheEnd += sentAtOnce == 0 && sendThreads.All(thread => thread == turnThread) ? 1 : 0;
        }

        // Others send it where the machine stops the worker in the middle of the turn.
        Assert.True(atTheEnd > Rounds / 2, $"{atTheEnd} of {Rounds}");
    }

    [Theory]
    [InlineData(1, BlockageKind.Event)]
    [InlineData(1, BlockageKind.KernelRead)]
    [InlineData(1, BlockageKind.Computing)]
    [InlineData(2, BlockageKind.Event)]
    [InlineData(2, BlockageKind.KernelRead)]
    [InlineData(2, BlockageKind.Computing)]
    public void It_is_sent_while_the_turn_is_blocked(int workers, BlockageKind kind)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        using Blockage blockage = new(kind);
        HeldTurn output = new();
        HoldAndBlock(runtime, output, blockage);
        Patience.Until(() => output.Runs != 0, "the output is sent");
        Assert.Equal(0, blockage.Left);
        runtime.WaitForTurn();

        blockage.Release();
        Patience.Until(() => blockage.Left == 1, "the turn has ended");
        runtime.WaitForTurn();
        Assert.True(output.TryList());
    }

    /// <summary>There is no worker that could do it, so that the thread pool does.</summary>
    [Theory]
    [InlineData(BlockageKind.Event)]
    [InlineData(BlockageKind.KernelRead)]
    public void At_the_worker_limit_the_thread_pool_sends_it(BlockageKind kind)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, MaxWorkerCount = 1, Name = WorkerThreads.NewName() });
        using Blockage blockage = new(kind);
        bool onThreadPool = false;
        HeldTurn output = new(() => onThreadPool |= Thread.CurrentThread.IsThreadPoolThread);
        HoldAndBlock(runtime, output, blockage);
        Patience.Until(() => output.Runs != 0, "the output is sent");
        Assert.Equal((true, 0), (onThreadPool, blockage.Left));
        Assert.Equal(0, runtime.GetStatistics().HandOffs);
    }

    [Fact]
    public void Sending_may_block_as_well()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using Blockage blockage = new(BlockageKind.Event);
        HeldTurn output = new(blockage.Block);
        HoldAndBlock(runtime, output, blockage);
        blockage.WaitUntilEntered(2);
        runtime.WaitForTurn();
        Assert.Equal(0, blockage.Left);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Sending_may_throw(bool blocks)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using Blockage blockage = new(BlockageKind.Event);
        InvalidOperationException expected = new("on purpose");
        HeldTurn output = new(() => throw expected);
        if (blocks)
        {
            HoldAndBlock(runtime, output, blockage);
        }
        else
        {
            runtime.Groups[0].Schedule(new CallbackTurn(() => Hold(runtime.Groups[0], output)));
        }

        Patience.Until(() => output.Exception is not null, "the failure is reported");
        Assert.Same(expected, output.Exception);
        runtime.WaitForTurn();
    }

    /// <summary>A turn that has lost its processor holds nothing any more.</summary>
    [Fact]
    public void A_turn_that_has_lost_its_processor_sends_at_once()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using Blockage blockage = new(BlockageKind.Event);
        WorkerGroup group = runtime.Groups[0];
        HeldTurn output = new();
        bool? held = null;
        CallbackTurn turn = new(() =>
        {
            blockage.Block();
            Assert.True(output.TryList());
            held = group.CurrentWorker!.TryHold(output);
        });
        group.Schedule(turn);
        blockage.WaitUntilEntered(1);
        runtime.WaitForTurn();
        blockage.Release();
        Patience.Until(() => turn.Runs == 1, "the turn has ended");
        Assert.Equal((false, 0), (held, output.Runs));
        Assert.True(output.TryList());
    }

    [Fact]
    public void A_turn_that_nobody_watches_holds_nothing()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        WorkerGroup group = runtime.Groups[0];
        bool? held = null;
        group.Schedule(new CallbackTurn(() =>
        {
            HeldTurn output = new();
            Assert.True(output.TryList());
            held = group.CurrentWorker!.TryHold(output);
        }));
        runtime.WaitForTurn();
        Assert.False(held);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_other_code_holds_is_sent_when_it_is_due(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        for (int i = 0; i < 20; i++)
        {
            HeldTurn output = new();
            output.HoldUntil(MonotonicClock.Now);
            Assert.True(runtime.Groups[0].TryHoldUntil(output));
            Patience.Until(() => output.Runs != 0, "the output is sent");
            Patience.Until(output.TryList, "it is in no list");
        }
    }

    /// <summary>All workers are blocked, and there may be no more of them.</summary>
    [Fact]
    public void What_other_code_holds_does_not_wait_for_a_worker()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, MaxWorkerCount = 1, Name = WorkerThreads.NewName() });
        using Blockage blockage = new(BlockageKind.Event);
        runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        blockage.WaitUntilEntered(1);
        HeldTurn output = new();
        output.HoldUntil(MonotonicClock.Now);
        Assert.True(runtime.Groups[0].TryHoldUntil(output));
        Patience.Until(() => output.Runs != 0, "the output is sent");
        Assert.Equal(0, blockage.Left);
    }

    [Fact]
    public void The_end_of_the_runtime_forgets_nothing()
    {
        HeldTurn output = new();
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _))
        {
            output.HoldUntil(MonotonicClock.After(TimeSpan.FromHours(1)));
            Assert.True(runtime.Groups[0].TryHoldUntil(output));
        }

        Patience.Until(() => output.Runs != 0, "the output is sent");
    }

    [Fact]
    public void After_the_end_nothing_is_held()
    {
        NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        runtime.Dispose();
        Assert.False(runtime.Groups[0].TryHoldUntil(new HeldTurn()));
    }

    private static void HoldAndBlock(NetpollRuntime runtime, HeldTurn output, Blockage blockage) =>
        runtime.Groups[0].Schedule(new CallbackTurn(() =>
        {
            Hold(runtime.Groups[0], output);
            blockage.Block();
        }));

    private static void Hold(WorkerGroup group, HeldTurn output)
    {
        Assert.True(output.TryList());
        Assert.True(group.CurrentWorker!.TryHold(output));
    }
}
