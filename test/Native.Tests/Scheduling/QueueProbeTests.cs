using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class QueueProbeTests
{
    [Fact]
    public async Task It_runs_and_says_afterwards_for_how_long_it_has_waited()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        QueueProbe probe = runtime.Groups[0].QueueProbe;
        Assert.Equal(0, probe.Ask());
        await probe.WhenRunAsync().InTime();

        Assert.Equal(0, probe.Waits(out long standstill));
        Assert.Equal(0, standstill);
        Assert.True(probe.Ask() > 0);
    }

    [Fact]
    public async Task While_a_group_stands_still_it_waits_and_says_so()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        WorkerGroup group = runtime.Groups[0];
        using Blockage blockage = new(BlockageKind.Event);
        group.Schedule(new CallbackTurn(blockage.Block));
        blockage.WaitUntilEntered();
        Task run = group.QueueProbe.WhenRunAsync();

        Assert.Same(run, group.QueueProbe.WhenRunAsync());
        Assert.Equal(1, group.QueuedTurns);
        Assert.Equal(new WorkerStates(Running: 1, Idle: 0, Blocked: 0, Spare: 0), group.CountWorkers());
        Assert.Equal(group.QueueProbe.Waits(out long standstill), standstill);
        Assert.True(standstill > 0);
        long first = group.QueueProbe.Ask();
        Patience.Until(() => group.QueueProbe.Ask() > first, "it waits for longer");
        Assert.False(run.IsCompleted);

        blockage.Release();
        await run.InTime();
    }

    /// <summary>A turn that was queued in front of it has begun since, and stands still as well.</summary>
    [Fact]
    public async Task A_standstill_that_begins_while_it_waits_is_seen_too()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        WorkerGroup group = runtime.Groups[0];
        using Blockage first = new(BlockageKind.Event);
        using Blockage second = new(BlockageKind.Event);
        group.Schedule(new CallbackTurn(first.Block));
        first.WaitUntilEntered();
        group.Schedule(new CallbackTurn(second.Block));
        Task run = group.QueueProbe.WhenRunAsync();
        first.Release();
        second.WaitUntilEntered();

        long waits = group.QueueProbe.Waits(out long standstill);
        Assert.Equal((true, 0), (waits > 0, standstill));
        Patience.Until(() => group.QueueProbe.Waits(out standstill) > 0 && standstill > 0, "it stands still");
        Assert.True(standstill < group.QueueProbe.Waits(out _));

        second.Release();
        await run.InTime();
    }

    [Fact]
    public void Workers_are_counted_by_what_they_do()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        WorkerGroup group = runtime.Groups[0];
        using (Blockage blockage = new(BlockageKind.Event))
        {
            for (int i = 0; i < 3; i++)
            {
                group.Schedule(new CallbackTurn(blockage.Block));
            }

            blockage.WaitUntilEntered(3);
            runtime.WaitForTurn();
            Patience.Until(
                () => group.CountWorkers() is { Running: var running, Idle: var idle, Blocked: var blocked }
                    && running + idle == 2
                    && running + blocked == 3,
                "three block");
        }

        Patience.Until(() => group.CountWorkers() is { Running: 0, Idle: 2, Blocked: 0, Spare: > 0 }, "all are idle");
    }

    [Fact]
    public void A_blocked_turn_that_keeps_its_processor_for_want_of_a_worker_is_counted()
    {
        NetpollRuntimeOptions options = new() { WorkerCount = 1, MaxWorkerCount = 1, Name = WorkerThreads.NewName() };
        using NetpollRuntime runtime = new(options);
        WorkerGroup group = runtime.Groups[0];
        CallbackTurn next = new();
        using Blockage blockage = new(BlockageKind.Event);
        group.Schedule(new CallbackTurn(blockage.Block));
        blockage.WaitUntilEntered();
        group.Schedule(next);
        Patience.Until(() => group.RefusedTurns == 1, "it is counted");
        blockage.Release();
        Patience.Until(() => next.Runs == 1 && group.RefusedTurns == 0, "it is over");
    }
}
