using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>The runtime is disposed while turns are blocked.</summary>
public sealed class BlockedStopTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(4, 2)]
    public void Every_turn_runs_once_and_no_thread_stays(int workers, int groups)
    {
        ObservedKernel systemCalls = new();
        string name = WorkerThreads.NewName();
        NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers, GroupCount = groups, Name = name }, systemCalls);
        List<CallbackTurn> turns = [];
        Thread stopper = new(runtime.Dispose) { Name = "stopper" };
        using (Blockage blockage = new(BlockageKind.Event))
        {
            foreach (WorkerGroup group in runtime.Groups)
            {
                for (int i = 0; i < 3; i++)
                {
                    turns.Add(new CallbackTurn(blockage.Block));
                    group.Schedule(turns[^1]);
                }
            }

            blockage.WaitUntilEntered(turns.Count);
            stopper.Start();
            foreach (WorkerGroup group in runtime.Groups)
            {
                for (int i = 0; i < 20; i++)
                {
                    turns.Add(new CallbackTurn());
                    group.Schedule(turns[^1]);
                    Thread.Yield();
                }
            }

            Patience.Until(() => runtime.Groups.All(group => group.Stopping), "the stop has begun");
        }

        stopper.JoinInTime();
        Patience.Until(() => turns.TrueForAll(turn => turn.Runs != 0), "all have run");
        Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
        Assert.All(turns, turn => Assert.Equal(1, turn.Runs));
        Assert.Equal(0, WorkerThreads.CountMonitors(name));
        Patience.Until(() => systemCalls.OpenDescriptors.Count == 0, "everything is closed");
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>Blocking, handing on and stopping, in all orders that chance finds.</summary>
    [Fact]
    public void Stopping_races_with_hand_offs()
    {
        Random random = SeededRandom.Create();
        for (int round = 0; round < 30; round++)
        {
            ObservedKernel systemCalls = new();
            NetpollRuntime runtime = WorkerThreads.CreateRuntime(1 + (round % 2), out string name, systemCalls);
            CallbackTurn[] turns = [.. Enumerable.Range(0, 12).Select(_ => new CallbackTurn(() => Thread.Sleep(1)))];
            Array.ForEach(turns, runtime.Groups[0].Schedule);
            Thread.SpinWait(random.Next(50_000));
            runtime.Dispose();
            Patience.Until(() => Array.TrueForAll(turns, turn => turn.Runs != 0), "all have run");
            Assert.All(turns, turn => Assert.Equal(1, turn.Runs));
            Patience.Until(() => WorkerThreads.Count(name) == 0, "the threads are gone");
            Assert.Empty(systemCalls.OpenDescriptors);
            Assert.Empty(systemCalls.Violations);
        }
    }
}
