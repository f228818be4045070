using System.Collections.Concurrent;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Where the code after an await runs: never on a worker, with the context it had before.</summary>
public sealed class ContinuationTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task The_code_after_a_wait_runs_on_the_thread_pool()
    {
        await using PipePair pipe = new();
        Task<bool> onWorker = Task.Run(async () =>
        {
            await pipe.Read.ReadAsync(new byte[1]);
            return pipe.Read.Descriptor.Group.IsWorkerThread || !Thread.CurrentThread.IsThreadPoolThread;
        });
        await Task.Delay(Waits.AWhile);
        await pipe.Write.WriteAsync(new byte[1]);

        Assert.False(await onWorker);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Code_that_blocks_after_a_wait_stops_nobody_else()
    {
        await using PipePair blocked = new();
        await using PipePair other = new();
        using ManualResetEventSlim release = new();
        TaskCompletionSource blocking = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task blocker = Task.Run(async () =>
        {
            await blocked.Read.ReadAsync(new byte[1]);
            blocking.SetResult();
            release.Wait();
        });
        await blocked.Write.WriteAsync(new byte[1]);
        await blocking.Task;

        Task<byte[]> read = other.Read.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        await other.Write.WriteAsync(new byte[1]);
        Assert.Single(await read);

        release.Set();
        await blocker;
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Async_locals_survive_a_wait()
    {
        await using PipePair pipe = new();
        AsyncLocal<string> local = new() { Value = "mine" };
        Task<string> seen = Task.Run(async () =>
        {
            local.Value = "the reader's";
            await pipe.Read.ReadAsync(new byte[1]);
            return local.Value;
        });
        await Task.Delay(Waits.AWhile);
        await pipe.Write.WriteAsync(new byte[1]);

        Assert.Equal("the reader's", await seen);
        Assert.Equal("mine", local.Value);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_synchronization_context_gets_its_continuation()
    {
        await using PipePair pipe = new();
        using BlockingCollection<Action> posted = [];
        Task<byte[]> read = Task.Factory.StartNew(
            () =>
            {
                SynchronizationContext.SetSynchronizationContext(new Queueing(posted));
                return pipe.Read.ReadSomeAsync();
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap();
        await Waits.AssertPendingAsync(read);
        await pipe.Write.WriteAsync(new byte[1]);

        Action continuation = await Task.Run(posted.Take);
        Assert.False(read.IsCompleted);
        continuation();
        Assert.Single(await read);
    }

    private sealed class Queueing(BlockingCollection<Action> posted) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state) => posted.Add(() => d(state));
    }
}
