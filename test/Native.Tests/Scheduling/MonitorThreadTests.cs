using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class MonitorThreadTests
{
    [Fact]
    public void A_runtime_has_one_and_it_ends_with_it()
    {
        NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out string name);
        Patience.Until(() => WorkerThreads.CountMonitors(name) == 1, "the monitor runs");
        runtime.Dispose();
        Patience.Until(() => WorkerThreads.CountMonitors(name) == 0, "the monitor has ended");
    }

    [Fact]
    public void A_runtime_whose_turns_never_block_has_none()
    {
        string name = WorkerThreads.NewName();
        FutexCounter systemCalls = new();
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, HandsOff = false, Name = name }, systemCalls);
        bool watched = true;
        CallbackTurn turn = new(() => watched = runtime.Groups[0].IsTurnWatched);
        runtime.Groups[0].Schedule(turn);
        Patience.Until(() => turn.Runs == 1, "a turn runs");
        Assert.False(watched);
        Assert.Equal((1, 0), (WorkerThreads.Count(name), WorkerThreads.CountMonitors(name)));
        Assert.Equal(0, systemCalls.Calls);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 2)]
    public void It_does_nothing_while_nothing_happens(int workers, int groups)
    {
        FutexCounter systemCalls = new();
        NetpollRuntimeOptions options = new() { WorkerCount = workers, GroupCount = groups, Name = WorkerThreads.NewName() };
        using NetpollRuntime runtime = new(options, systemCalls);
        for (int round = 0; round < 2; round++)
        {
            Patience.Until(() => systemCalls.Sleepers == 1, "the monitor dozes");
            Patience.Until(() => systemCalls.Waiting == 1 + runtime.GetStatistics().SpareWorkers, "the spares are parked");
            int calls = systemCalls.Calls;
            Thread.Sleep(200);

            // A signal of the runtime's may interrupt one of those that wait.
            Assert.InRange(systemCalls.Calls, calls, calls + 4);

            // It is there when it is needed.
            using Blockage blockage = new(BlockageKind.Event);
            foreach (WorkerGroup group in runtime.Groups)
            {
                for (int i = 0; i < workers; i++)
                {
                    group.Schedule(new CallbackTurn(blockage.Block));
                }

                CallbackTurn last = new();
                group.Schedule(last);
                Patience.Until(() => last.Runs == 1, "another turn runs");
            }

            Assert.Equal(0, blockage.Left);
            Assert.True(systemCalls.Calls > calls);
            if (round == 0)
            {
                blockage.Release();
                Patience.Until(() => runtime.GetStatistics() is var s && s.SpareWorkers == s.Workers - workers, "the workers are spares");
            }
        }
    }

    /// <summary>Spares wait with a limit, the monitor, when it dozes, without one.</summary>
    private sealed class FutexCounter : SystemCalls
    {
        private int _calls;
        private int _sleepers;
        private int _waiting;

        internal int Calls => Volatile.Read(ref _calls);

        /// <summary>Threads that wait without a limit.</summary>
        internal int Sleepers => Volatile.Read(ref _sleepers);

        internal int Waiting => Volatile.Read(ref _waiting);

        protected internal override SyscallResult FutexWaitOnce(ref int word, int expected, long timeoutNanoseconds)
        {
            Interlocked.Increment(ref _calls);
            Interlocked.Increment(ref _waiting);
            int sleeper = timeoutNanoseconds < 0 ? 1 : 0;
            Interlocked.Add(ref _sleepers, sleeper);
            SyscallResult result = base.FutexWaitOnce(ref word, expected, timeoutNanoseconds);
            Interlocked.Add(ref _sleepers, -sleeper);
            Interlocked.Decrement(ref _waiting);
            return result;
        }

        protected internal override SyscallResult FutexWakeOnce(ref int word)
        {
            Interlocked.Increment(ref _calls);
            return base.FutexWakeOnce(ref word);
        }
    }
}
