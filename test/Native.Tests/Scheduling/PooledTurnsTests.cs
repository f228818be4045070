using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Turns for the thread pool, also while it has no thread for them.</summary>
[Collection(nameof(Alone))]
public sealed class PooledTurnsTests
{
    private const int Turns = 100;

    [Fact]
    public async Task They_run_on_the_thread_pool_once_each()
    {
        // On a busy machine the pool may be late, and nobody is to see that here.
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        int onPool = 0;
        CallbackTurn[] turns = NewTurns(() => Interlocked.Add(ref onPool, Thread.CurrentThread.IsThreadPoolThread ? 1 : 0));

        AddAll(runtime, turns);

        await Patience.UntilAsync(() => turns.All(static turn => turn.Runs == 1), "all turns run");
        Assert.Equal(Turns, onPool);
    }

    /// <summary>The monitor dozes when it begins.</summary>
    [Fact]
    public void They_run_on_workers_while_the_thread_pool_is_blocked_and_there_again_afterwards()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        PooledTurns pooled = runtime.Groups[0].Pooled;
        var end = new ManualResetEventSlim();
        int onWorker = 0;
        BlockThreadPool(end);
        try
        {
            for (int round = 0; round < 2; round++)
            {
                CallbackTurn[] turns = NewTurns(() => Interlocked.Add(ref onWorker, Thread.CurrentThread.IsThreadPoolThread ? 0 : 1));
                AddAll(runtime, turns);
                Patience.Until(() => turns.All(static turn => turn.Runs == 1), "all turns run");
            }

            // The pool may have started a thread that took some of the first round, before it was seen to be late.
            Assert.InRange(onWorker, Turns, 2 * Turns);
        }
        finally
        {
            end.Set();
        }

        Patience.Until(() => !pooled.IsLate, "a permit comes to the pool");

        bool onPool = false;
        Patience.Until(
            () =>
            {
                CallbackTurn turn = new(() => onPool = Thread.CurrentThread.IsThreadPoolThread);
                pooled.Add(turn);
                Patience.Until(() => turn.Runs == 1, "a turn runs");
                return onPool;
            },
            "turns run on the pool again");
    }

    private static CallbackTurn[] NewTurns(Action run) => [.. Enumerable.Range(0, Turns).Select(_ => new CallbackTurn(run))];

    private static void AddAll(NetpollRuntime runtime, CallbackTurn[] turns)
    {
        foreach (CallbackTurn turn in turns)
        {
            runtime.Groups[0].Pooled.Add(turn);
        }
    }

    // More items than the pool has threads, or makes soon.
    private static void BlockThreadPool(ManualResetEventSlim end)
    {
        ThreadPool.GetMinThreads(out int threads, out _);
        int items = Math.Max(threads, ThreadPool.ThreadCount) + 64;
        for (int i = 0; i < items; i++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static state => state.Wait(Patience.Limit), end, preferLocal: false);
        }
    }
}
