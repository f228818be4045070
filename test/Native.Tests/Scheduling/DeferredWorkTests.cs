using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>What a turn has left to its end is done by another worker if the turn blocks.</summary>
public sealed class DeferredWorkTests
{
    [Theory]
    [InlineData(1, BlockageKind.Event)]
    [InlineData(1, BlockageKind.KernelRead)]
    [InlineData(1, BlockageKind.Computing)]
    [InlineData(2, BlockageKind.Event)]
    [InlineData(2, BlockageKind.KernelRead)]
    [InlineData(2, BlockageKind.Computing)]
    public void It_is_done_while_the_turn_is_blocked(int workers, BlockageKind kind)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        using Blockage blockage = new(kind);
        DeferringTurn turn = new(blockage, () => { });
        runtime.Groups[0].Schedule(turn);
        Patience.Until(() => turn.Done == 1, "the deferred work is done");
        Assert.Equal(0, blockage.Left);
        runtime.WaitForTurn();

        blockage.Release();
        Patience.Until(() => blockage.Left == 1, "the turn has ended");
        runtime.WaitForTurn();
        Assert.Equal(1, turn.Done);
    }

    /// <summary>There is no worker that could do it, so that the thread pool does, once.</summary>
    [Theory]
    [InlineData(BlockageKind.Event)]
    [InlineData(BlockageKind.KernelRead)]
    public void At_the_worker_limit_the_thread_pool_does_it(BlockageKind kind)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, MaxWorkerCount = 1, Name = WorkerThreads.NewName() });
        using Blockage blockage = new(kind);
        bool onThreadPool = false;
        DeferringTurn turn = new(blockage, () => onThreadPool = Thread.CurrentThread.IsThreadPoolThread);
        runtime.Groups[0].Schedule(turn);
        Patience.Until(() => turn.Done == 1, "the deferred work is done");
        Assert.Equal((true, 0), (onThreadPool, blockage.Left));
        Assert.Equal(0, runtime.GetStatistics().HandOffs);
    }

    [Fact]
    public void It_may_block_as_well()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using Blockage blockage = new(BlockageKind.Event);
        DeferringTurn turn = new(blockage, blockage.Block);
        runtime.Groups[0].Schedule(turn);
        blockage.WaitUntilEntered(2);
        runtime.WaitForTurn();
        Assert.Equal(0, blockage.Left);
    }

    [Fact]
    public void It_may_throw()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using Blockage blockage = new(BlockageKind.Event);
        InvalidOperationException expected = new("on purpose");
        DeferringTurn turn = new(blockage, () => throw expected);
        runtime.Groups[0].Schedule(turn);
        Patience.Until(() => turn.Exception is not null, "the failure is reported");
        Assert.Same(expected, turn.Exception);
        runtime.WaitForTurn();
        Assert.Equal(1, runtime.GetStatistics().FailedTurns);
    }

    private sealed class DeferringTurn(Blockage blockage, Action deferred) : Turn
    {
        private int _deferred;
        private int _done;
        private Exception? _exception;

        internal int Done => Volatile.Read(ref _done);

        internal Exception? Exception => Volatile.Read(ref _exception);

        internal override bool HasDeferredWork => Volatile.Read(ref _deferred) != 0;

        internal override void Run()
        {
            Interlocked.Exchange(ref _deferred, 1);
            blockage.Block();
        }

        internal override void DoDeferredWork()
        {
            if (Interlocked.Exchange(ref _deferred, 0) != 0)
            {
                deferred();
                Interlocked.Increment(ref _done);
            }
        }

        internal override void OnUnhandledException(Exception exception) => Volatile.Write(ref _exception, exception);
    }
}
