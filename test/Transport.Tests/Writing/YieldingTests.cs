using System.IO.Pipelines;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using KestrelNetpoll.Transport.Writing;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>What has sent its share lets others go first, wherever it runs; nobody waits for them in vain.</summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class YieldingTests
{
    private const int Block = 16 * 1024;
    private const int BlocksPerShare = (int)(Worker.OutputBudget / Block);
    private const int Shares = 100;

    [Fact]
    public async Task On_a_worker_nobody_yields_to_nobody()
    {
        await using var pipe = SwallowingPipe();
        int yields = 0;
        await pipe.RunOnWorker(async () => yields = await DownloadAsync(pipe)).InTime();

        // A wake-up that was meant for the worker looks like an event.
        Assert.InRange(yields, 0, Shares / 2);
    }

    /// <summary>Where the machine is so busy that a yield takes long, a response gives up yielding.</summary>
    [Fact]
    public Task On_the_thread_pool_it_goes_on_behind_what_waits_there() => Undisturbed.UsuallyAsync(async () =>
    {
        await using var pipe = SwallowingPipe();
        await using var others = new BusyPool();
        int yields = await Task.Run(() => DownloadAsync(pipe, onThreadPool: true)).InTime();
        Assert.InRange(yields, 0, Shares + 1);

        // An item may have been taken off the queue, and not have come back yet.
        return yields >= Shares / 4 && others.Runs >= yields / 2;
    });

    /// <summary>The caller blocks, and so does everybody on the thread pool.</summary>
    [Fact]
    public async Task A_worker_helps_where_the_thread_pool_does_not()
    {
        await using var pipe = SwallowingPipe();
        // Not disposed of: items that nobody has fetched yet come late.
        var end = new ManualResetEventSlim();
        var begun = new ManualResetEventSlim();
        var begin = new ManualResetEventSlim();
        Task download = Task.Run(() =>
        {
            begun.Set();
            begin.Wait(Patience.Limit);
            for (int i = 0; i < 3 * BlocksPerShare; i++)
            {
                pipe.Writer.WriteAsync(new byte[Block]).AsTask().Wait(Patience.Limit);
            }
        });
        Assert.True(begun.Wait(Patience.Limit));
        BlockThreadPool(end);

        // Not with an await, which would go on on the thread pool.
        begin.Set();
        try
        {
            Assert.True(SpinWait.SpinUntil(() => download.IsCompleted, Patience.Limit));
            Assert.Equal(3 * Worker.OutputBudget, pipe.Writer.BytesSent);
        }
        finally
        {
            end.Set();
        }

        await download;
    }

    /// <summary>One slow moment of the thread pool does not make a long download greedy to its end.</summary>
    [Fact]
    public async Task After_a_yield_in_vain_it_yields_again_but_more_and_more_rarely()
    {
        await using var pipe = SwallowingPipe();
        var end = new ManualResetEventSlim();
        List<int> yields = [];
        Task download = Task.Run(() =>
        {
            BlockThreadPool(end);
            const int SharesOfDistance = (int)(SocketPipeWriter.FirstDistance / Worker.OutputBudget);
            for (int share = 1; share <= 1 + (7 * SharesOfDistance); share++)
            {
                Task<FlushResult> flush = pipe.Writer.WriteAsync(new byte[Worker.OutputBudget]).AsTask();
                if (!flush.IsCompleted)
                {
                    yields.Add((share - 1) / SharesOfDistance);
                    Assert.True(flush.Wait(Patience.Limit));
                }
            }
        });
        try
        {
            Assert.True(SpinWait.SpinUntil(() => download.IsCompleted, Patience.Limit));
        }
        finally
        {
            end.Set();
        }

        await download;
        Assert.Equal([0, 1, 3, 7], yields);
    }

    /// <summary>Where the application is to run on the thread pool, all whose threads wait for others like themselves.</summary>
    [Fact]
    public async Task A_worker_helps_a_thread_pool_that_is_to_run_everything_and_cannot()
    {
        await using var pipe = SwallowingPipe(onThreadPool: true);
        var end = new ManualResetEventSlim();
        Task download = Task.Run(() =>
        {
            BlockThreadPool(end, 2000);
            Assert.True(pipe.Writer.WriteAsync(new byte[Worker.OutputBudget]).AsTask().Wait(Patience.Limit));
        });
        try
        {
            Assert.True(SpinWait.SpinUntil(() => download.IsCompleted, Patience.Limit));
        }
        finally
        {
            end.Set();
        }

        await download;
    }

    /// <summary>The last worker that there may be waits for a worker, which nobody has known when it began to.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_worker_that_waits_for_its_place_gets_it_even_if_there_is_no_room_for_another_one(bool workersOnly)
    {
        var resources = new Resources();
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 1, Name = "test", Resources = resources, Backend = SuiteSettings.EngineBackend },
            new ScriptedKernel());
        await using var pipe = SwallowingPipe(runtime: runtime, workersOnly: workersOnly);
        bool yielded = false;
        await pipe.RunOnWorker(() =>
        {
            _ = pipe.RunOnWorker(static () => Task.CompletedTask);
            resources.IsFull = true;
            Task<FlushResult> flush = pipe.Writer.WriteAsync(new byte[Worker.OutputBudget]).AsTask();
            yielded = !flush.IsCompleted;
            Assert.True(flush.Wait(Patience.Limit));
            return Task.CompletedTask;
        }).InTime();
        Assert.True(yielded);
    }

    /// <summary>As a static file is sent: each piece is read on the thread pool, which is busy.</summary>
    [Fact]
    public Task Pieces_of_a_long_response_gather_while_others_wait_for_the_thread_pool() => Undisturbed.UsuallyAsync(async () =>
    {
        const int Small = 4 * 1024;
        const int Pieces = 8;
        await using var pipe = SwallowingPipe(maxWriteBufferSize: 64 * 1024);
        var end = new ManualResetEventSlim();
        try
        {
            return await Task.Run(() =>
            {
                // The beginning of a response that is long.
                pipe.Writer.WriteAsync(new byte[2 * Block]).AsTask().Wait(Patience.Limit);
                Flush(Small);
                Assert.True(SpinWait.SpinUntil(() => pipe.Writer.BytesSent == (2 * Block) + Small, Patience.Limit));
                BlockThreadPool(end);
                int sends = pipe.SystemCalls.Sends;
                for (int i = 0; i < Pieces; i++)
                {
                    // As long as a read of a file takes: too long for flushes that would be gathered anyway.
                    long next = MonotonicClock.Now + (2 * GatherMeter.QuickNanoseconds);
                    Flush(Small);
                    while (MonotonicClock.Now < next)
                    {
                        Thread.SpinWait(20);
                    }
                }

                bool gathered = pipe.SystemCalls.Sends == sends && pipe.Writer.HoldsOutput;

                // The thread pool does not come to it, but somebody does.
                Assert.True(SpinWait.SpinUntil(() => pipe.Writer.BytesSent == (2 * Block) + ((Pieces + 1) * Small), Patience.Limit));
                return gathered && pipe.SystemCalls.Sends == sends + 1;
            });
        }
        finally
        {
            end.Set();
        }

        void Flush(int length)
        {
            pipe.Writer.GetSpan(length)[..length].Clear();
            pipe.Writer.Advance(length);
            Assert.True(pipe.Writer.FlushAsync().AsTask().Wait(Patience.Limit));
        }
    });

    /// <summary>Turns that send much keep each other company in the group's queue; what a processor has in its own does not wait for all of them.</summary>
    [Fact]
    public async Task Many_that_yield_do_not_keep_the_poller_waiting()
    {
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 1, Name = "test", Backend = SuiteSettings.EngineBackend }, new ScriptedKernel());
        await using var first = SwallowingPipe(runtime: runtime);
        await using var second = SwallowingPipe(runtime: runtime);
        await using var asking = new SocketPipe(runtime: runtime);
        bool ends = false;
        int writes = 0;
        int fewest = int.MaxValue;
        Task[] downloads = [first.RunOnWorker(() => EndlessAsync(first)), second.RunOnWorker(() => EndlessAsync(second))];
        try
        {
            for (int i = 0; i < 20; i++)
            {
                ValueTask<ReadResult> read = asking.Reader.ReadAsync();

                // So that only an event tells of the byte.
                await asking.ParkedAsync();
                int before = Volatile.Read(ref writes);
                asking.Send("?"u8);
                ReadResult result = await read.InTime();
                fewest = Math.Min(fewest, Volatile.Read(ref writes) - before);
                asking.Reader.AdvanceTo(result.Buffer.End);
            }
        }
        finally
        {
            Volatile.Write(ref ends, true);
            await Task.WhenAll(downloads).InTime();
        }

        // At most 16 turns from the group's queue, and those of the moments in which this thread was stopped.
        Assert.InRange(fewest, 0, 3 * 16);

        async Task EndlessAsync(SocketPipe pipe)
        {
            while (!Volatile.Read(ref ends))
            {
                await pipe.Writer.WriteAsync(new byte[Worker.OutputBudget]);
                Interlocked.Increment(ref writes);
            }
        }
    }

    // More items than the pool has threads, many of which an earlier test may have left behind, or makes soon.
    private static void BlockThreadPool(ManualResetEventSlim end, int more = 64)
    {
        int items = MostThreads + more;
        for (int i = 0; i < items; i++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static state => state.Wait(Patience.Limit), end, preferLocal: false);
        }
    }

    private static int MostThreads
    {
        get
        {
            ThreadPool.GetMinThreads(out int threads, out _);
            return Math.Max(threads, ThreadPool.ThreadCount);
        }
    }

    private static SocketPipe SwallowingPipe(
        int maxWriteBufferSize = 0, NetpollRuntime? runtime = null, bool onThreadPool = false, bool workersOnly = false)
    {
        var pipe = new SocketPipe(
            maxWriteBufferSize: maxWriteBufferSize, workers: 1, runtime: runtime, onThreadPool: onThreadPool, workersOnly: workersOnly);
        pipe.SystemCalls.Swallows = true;
        return pipe;
    }

    private static async Task<int> DownloadAsync(SocketPipe pipe, bool onThreadPool = false)
    {
        int yields = 0;
        for (int i = 0; i < Shares * BlocksPerShare; i++)
        {
            ValueTask<FlushResult> flush = pipe.Writer.WriteAsync(new byte[Block]);
            yields += flush.IsCompleted ? 0 : 1;
            Assert.False((await flush).IsCompleted);
            if (onThreadPool && pipe.OnWorker)
            {
                // It was answered before it was awaited. A framework would have gone on on the thread pool.
                await Task.Yield();
            }
        }

        return yields;
    }

    private sealed class Resources() : SystemResources(new KernelFiles(SystemCalls.Instance))
    {
        private volatile bool _isFull;

        internal bool IsFull
        {
            get => _isFull;
            set => _isFull = value;
        }

        internal override bool TryRead(out ResourceReading threadReading, out ResourceReading memoryReading)
        {
            threadReading = IsFull ? new ResourceReading(10, 10, "test") : ResourceReading.Unlimited;
            memoryReading = ResourceReading.Unlimited;
            return true;
        }
    }

    // Work items that queue themselves again, so that somebody always waits for the thread pool.
    private sealed class BusyPool : IThreadPoolWorkItem, IAsyncDisposable
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _left = MostThreads + 8;
        private long _runs;
        private volatile bool _ends;

        internal BusyPool()
        {
            int items = _left;
            for (int i = 0; i < items; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }
        }

        internal long Runs => Volatile.Read(ref _runs);

        public void Execute()
        {
            Interlocked.Increment(ref _runs);
            Thread.SpinWait(500);
            if (!_ends)
            {
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }
            else if (Interlocked.Decrement(ref _left) == 0)
            {
                _ended.SetResult();
            }
        }

        public async ValueTask DisposeAsync()
        {
            _ends = true;
            await _ended.Task.InTime();
        }
    }
}
