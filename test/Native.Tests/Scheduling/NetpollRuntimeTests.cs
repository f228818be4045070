using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class NetpollRuntimeTests
{
    [Theory]
    [InlineData(0, 8)]
    [InlineData(-1, 8)]
    [InlineData(1, 0)]
    public void Options_are_checked(int workers, int batchSize) =>
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new NetpollRuntime(new NetpollRuntimeOptions { WorkerCount = workers, EventBatchSize = batchSize }));

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void It_has_the_workers_it_was_asked_for(int workers)
    {
        ObservedKernel systemCalls = new();
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out string name, systemCalls);
        Patience.Until(() => systemCalls.Waits >= workers, "the workers have fallen asleep");
        Assert.Equal(workers, runtime.WorkerCount);
        Assert.Equal(workers, WorkerThreads.Count(name));
        Assert.Contains(runtime.NextGroup(), runtime.Groups);
    }

    [Fact]
    public void Workers_do_not_keep_the_process_alive()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        bool background = false;
        using ManualResetEventSlim done = new();
        runtime.Groups[0].Schedule(new CallbackTurn(() =>
        {
            background = Thread.CurrentThread.IsBackground;
            done.Set();
        }));
        done.WaitInTime("the turn has run");
        Assert.True(background);
    }

    [Fact]
    public void The_counters_move()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        using ManualResetEventSlim woken = new();
        CallbackTurn turn = new(() =>
        {
            first.EndWaitReadable();
            woken.Set();
        });
        while (first.BeginWaitReadable(turn) == PollResult.Ready)
        {
        }

        Assert.Equal(2, runtime.GetStatistics().OpenDescriptors);
        second.Send([1]);
        woken.WaitInTime("the reader is woken");
        runtime.Groups[0].SetDeadline(first.Poll!, PollMode.Read, 1);

        Patience.Until(() => runtime.GetStatistics() is { Turns: >= 1, Events: >= 1, Polls: >= 1, DeadlinesFired: >= 1 }, "counters moved");
        first.Close();
        second.Close();
        NetpollStatistics statistics = runtime.GetStatistics();
        Assert.Equal(0, statistics.OpenDescriptors);
        Assert.Equal(0, statistics.FailedTurns);
    }

    [Fact]
    public void Stale_events_are_counted()
    {
        SimulatedKernel kernel = new();
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, kernel);
        kernel.RaiseWithCookie(LibC.EPOLLIN, PollCookie.Create(1, 7).Word);
        Patience.Until(() => runtime.GetStatistics().StaleEvents == 1, "the stale event is counted");
    }
}
