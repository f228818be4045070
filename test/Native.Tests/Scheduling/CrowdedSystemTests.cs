using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Turns that block, where there is not room for a thread for each of them.</summary>
public sealed class CrowdedSystemTests
{
    private const int Turns = 50;

    [Fact]
    public void Workers_leave_threads_to_others_and_go_on_when_the_limit_is_raised()
    {
        FakeResources resources = new();
        using ManualResetEventSlim told = new();
        WorkerLimitReached? reached = null;
        using NetpollRuntime runtime = Create(resources, report =>
        {
            reached ??= report;
            told.Set();
        });

        // 19 are free beside the one that it begins with, and most of them are left to others.
        long limit = 40;
        resources.ReadThreads = () => new ResourceReading(Volatile.Read(ref limit), 20 + runtime.GetStatistics().Workers, "pids.max");
        CallbackTurn[] turns = new CallbackTurn[Turns];
        using (Blockage blockage = new(BlockageKind.Event))
        {
            for (int i = 0; i < Turns; i++)
            {
                turns[i] = new CallbackTurn(blockage.Block);
                runtime.Groups[0].Schedule(turns[i]);
            }

            blockage.WaitUntilEntered(4);
            told.WaitInTime("it is reported");
            Assert.Contains("of 40 threads (pids.max) are in use", reached!.Bound, StringComparison.Ordinal);
            Assert.InRange(runtime.GetStatistics().Workers, 4, 5);

            Volatile.Write(ref limit, 1000);
            blockage.WaitUntilEntered(Turns);
        }

        Patience.Until(() => Array.TrueForAll(turns, turn => turn.Runs == 1), "all have run");
    }

    [Fact]
    public void Workers_do_not_stay_as_spares_where_there_are_too_many()
    {
        FakeResources resources = new();
        using NetpollRuntime runtime = Create(resources, onReached: null);
        using (Blockage first = new(BlockageKind.Event))
        {
            for (int i = 0; i < Turns; i++)
            {
                runtime.Groups[0].Schedule(new CallbackTurn(first.Block));
            }

            first.WaitUntilEntered(Turns);
            runtime.WaitForTurn();

            // Lowered; it is noticed when another one is wanted, some time after the last look.
            resources.SetThreads(limit: 10, used: 1000);
            using Blockage second = new(BlockageKind.Event);
            long before = runtime.GetStatistics().WorkerLimitReached;
            Patience.Until(
                () =>
                {
                    runtime.Groups[0].Schedule(new CallbackTurn(second.Block));
                    Thread.Sleep(5);
                    return runtime.GetStatistics().WorkerLimitReached > before;
                },
                "there is no room");
            Patience.Until(() => !runtime.Groups[0].MayGetWorker, "and that is known");
            second.Release();
        }

        Patience.Until(() => runtime.GetStatistics() is { Workers: <= 3, SpareWorkers: <= 2 }, "they end");
    }

    [Fact]
    public void Memory_stops_them_as_well()
    {
        FakeResources resources = new();
        resources.SetMemory(300, 60);
        using NetpollRuntime runtime = Create(resources, onReached: null);
        using Blockage blockage = new(BlockageKind.Event);
        for (int i = 0; i < Turns; i++)
        {
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        }

        blockage.WaitUntilEntered(Turns);
        resources.SetMemory(300, 290);
        long before = runtime.GetStatistics().WorkerLimitReached;
        for (int i = 0; i < Turns; i++)
        {
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        }

        Patience.Until(() => runtime.GetStatistics().WorkerLimitReached > before, "there is no room");
        Assert.InRange(blockage.Entered, Turns, (2 * Turns) - 1);
        resources.SetMemory(3000, 290);
        blockage.WaitUntilEntered(2 * Turns);
    }

    private static NetpollRuntime Create(FakeResources resources, Action<WorkerLimitReached>? onReached) => new(new NetpollRuntimeOptions
    {
        WorkerCount = 1,
        Name = WorkerThreads.NewName(),
        SpareIdleTime = TimeSpan.FromHours(1),
        OnWorkerLimitReached = onReached,
        Resources = resources,
    });
}
