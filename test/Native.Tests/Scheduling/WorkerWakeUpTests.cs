using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Scheduling from outside never finds all workers asleep and leaves them so.</summary>
public sealed class WorkerWakeUpTests
{
    /// <summary>
    /// The window is the moment at which the worker falls asleep, some nanoseconds after a turn: the turn delays the worker by a random
    /// little, while the publisher goes on as soon as it can.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void A_turn_wakes_a_sleeping_worker(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        Random random = SeededRandom.Create();
        int ran = 0, delay = 0;
        CallbackTurn turn = new(() =>
        {
            Interlocked.Increment(ref ran);
            Thread.SpinWait(Volatile.Read(ref delay));
        });
        for (int round = 1; round <= 50_000; round++)
        {
            Volatile.Write(ref delay, random.Next(round % 8 == 0 ? 200 : 20));
            runtime.Groups[0].Schedule(turn);
            for (int spins = 0; Volatile.Read(ref ran) != round && spins < 2000; spins++)
            {
            }

            if (Volatile.Read(ref ran) != round)
            {
                int expected = round;
                Patience.Until(() => Volatile.Read(ref ran) == expected, $"turn {expected} has run");
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Many_publishers_at_once(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        const int Publishers = 4, Rounds = 2000;
        Thread[] threads = [.. Enumerable.Range(0, Publishers).Select(id => new Thread(() =>
        {
            Random random = new(id);
            int ran = 0;
            CallbackTurn turn = new(() => Interlocked.Increment(ref ran));
            for (int round = 1; round <= Rounds; round++)
            {
                runtime.Groups[0].Schedule(turn);
                int expected = round;
                Patience.Until(() => Volatile.Read(ref ran) == expected, $"turn {expected} of publisher {id} has run");
                Thread.SpinWait(random.Next(200));
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.JoinInTime());
        Patience.Until(() => runtime.GetStatistics().Turns == Publishers * Rounds, "all turns are counted");
    }

    /// <summary>Two turns that need each other can only end if two workers run at once: the first must pass the signal on.</summary>
    [Fact]
    public void Turns_spread_over_the_sleeping_workers()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(4, out _);
        WorkerGroup group = runtime.Groups[0];
        for (int round = 0; round < 500; round++)
        {
            using CountdownEvent meeting = new(4);
            using CountdownEvent left = new(4);
            bool met = true;
            for (int i = 0; i < 4; i++)
            {
                group.Schedule(new CallbackTurn(() =>
                {
                    meeting.Signal();
                    met &= meeting.Wait(Patience.Limit);
                    left.Signal();
                }));
            }

            Assert.True(left.Wait(Patience.Limit), $"round {round}");
            Assert.True(met, $"round {round}");
        }
    }

    [Fact]
    public void Idle_workers_do_not_poll()
    {
        ObservedKernel systemCalls = new();
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(4, out _, systemCalls);
        Patience.Until(() => systemCalls.Waits >= 4, "the workers have fallen asleep");
        int waits = systemCalls.Waits;
        Thread.Sleep(50);

        // A signal of the runtime's may interrupt one of them.
        Assert.InRange(systemCalls.Waits, waits, waits + 4);
    }
}
