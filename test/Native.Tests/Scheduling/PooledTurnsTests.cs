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

    [Fact]
    public void They_run_on_workers_while_the_thread_pool_is_blocked_and_there_again_afterwards()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        PooledTurns pooled = runtime.Groups[0].Pooled;
        Patience.Until(() => runtime.Groups[0].Monitor!.DozesWithoutEnd, "the monitor dozes");
        int onWorker = 0;
        WithBlockedThreadPool(() =>
        {
            for (int round = 0; round < 2; round++)
            {
                CallbackTurn[] turns = NewTurns(() => Interlocked.Add(ref onWorker, Thread.CurrentThread.IsThreadPoolThread ? 0 : 1));
                AddAll(runtime, turns);
                Patience.Until(() => turns.All(static turn => turn.Runs == 1), "all turns run");
            }
        });

        // The pool may have started a thread that took some of the first round, before it was seen to be late.
        Assert.InRange(onWorker, Turns, 2 * Turns);
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

    /// <summary>The monitor's looks, with times of the test's own, while no permit runs but those that the test runs.</summary>
    [Fact]
    public void The_pool_is_late_when_none_is_taken_for_a_while()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        PooledTurns pooled = runtime.Groups[0].Pooled;
        CallbackTurn turn = new();
        WithBlockedThreadPool(() =>
        {
            long now = 1_000_000_000;
            Assert.False(pooled.LookAt(now, pause: 0));
            pooled.Add(turn);
            Assert.True(pooled.LookAt(now, pause: 0));

            // The time that the runtime has stopped everybody for is nobody's fault.
            now += PooledTurns.StandstillNanoseconds;
            pooled.LookAt(now, pause: 1);
            Assert.False(pooled.IsLate);
            pooled.LookAt(now + 1, pause: 0);
            Assert.True(pooled.IsLate);
            Patience.Until(() => turn.Runs == 1, "a worker runs it");
        });
    }

    /// <summary>One in less than 10 ms, which is never a standstill.</summary>
    [Theory]
    [InlineData(5, false)]
    [InlineData(50, true)]
    public void The_pool_is_late_when_those_that_wait_wait_for_long(int waiting, bool isLate)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        PooledTurns pooled = runtime.Groups[0].Pooled;
        const long Step = PooledTurns.StandstillNanoseconds - 1;
        CallbackTurn[] turns = NewTurns(static () => { });
        int added = 0;
        WithBlockedThreadPool(() =>
        {
            long now = 1_000_000_000;
            while (added < waiting)
            {
                pooled.Add(turns[added++]);
            }

            for (int i = 0; i < 20; i++)
            {
                pooled.LookAt(now, pause: 0);
                ((IThreadPoolWorkItem)pooled).Execute();
                pooled.Add(turns[added++]);
                now += Step;
            }

            Assert.Equal(isLate, pooled.IsLate);
        });

        Patience.Until(() => turns[..added].All(static turn => turn.Runs == 1), "all turns run");
    }

    [Fact]
    public void A_late_pool_gets_turns_again_after_a_second_when_it_has_come_to_what_waited_there()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        PooledTurns pooled = runtime.Groups[0].Pooled;
        CallbackTurn turn = new();
        long now = 1_000_000_000;
        WithBlockedThreadPool(() =>
        {
            pooled.Add(turn);
            pooled.LookAt(now, pause: 0);
            pooled.LookAt(now += PooledTurns.StandstillNanoseconds, pause: 0);
            Assert.True(pooled.IsLate);

            // Permits that find nothing say nothing.
            ((IThreadPoolWorkItem)pooled).Execute();
            pooled.LookAt(now + PooledTurns.LateNanoseconds, pause: 0);
            Assert.True(pooled.IsLate);
        });

        Patience.Until(
            () =>
            {
                pooled.LookAt(now + PooledTurns.LateNanoseconds - 1, pause: 0);
                Assert.True(pooled.IsLate);
                pooled.LookAt(now + PooledTurns.LateNanoseconds, pause: 0);
                return !pooled.IsLate;
            },
            "the pool comes to what waited");
        Patience.Until(() => turn.Runs == 1, "a worker has run it");
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
    private static void WithBlockedThreadPool(Action action)
    {
        var end = new ManualResetEventSlim();
        ThreadPool.GetMinThreads(out int threads, out _);
        int items = Math.Max(threads, ThreadPool.ThreadCount) + 64;
        for (int i = 0; i < items; i++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static state => state.Wait(Patience.Limit), end, preferLocal: false);
        }

        try
        {
            action();
        }
        finally
        {
            end.Set();
        }
    }
}
