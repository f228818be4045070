using System.Buffers;
using System.IO.Pipelines;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Reading;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>What a read that is cancelled, or a connection that is aborted, leaves for the next read.</summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class SocketPipeReaderCancellationTests
{
    /// <summary>The turn of the first read takes the edge of what has come, and does not receive it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_has_come_before_a_first_read_that_is_cancelled_the_second_one_finds(bool byToken)
    {
        // A worker that the monitor gives the processor to would be quicker than the cancellation, now and then.
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 1, HandsOff = false, Backend = SuiteSettings.EngineBackend });
        await using var pipe = new SocketPipe(runtime: runtime);
        using var worker = new ManualResetEventSlim();
        using var source = new CancellationTokenSource();
        pipe.Send([1]);
        await pipe.ParkedAsync();
        Task blocked = pipe.RunOnWorker(() =>
        {
            Assert.True(worker.Wait(Patience.Limit));
            return Task.CompletedTask;
        });
        Task<ReadResult> first = pipe.Reader.ReadAsync(source.Token).AsTask();
        if (byToken)
        {
            await source.CancelAsync();
        }
        else
        {
            pipe.Reader.CancelPendingRead();
        }

        worker.Set();
        await blocked.InTime();
        try
        {
            ReadResult canceled = await first.InTime();
            Assert.True(canceled.IsCanceled);
            pipe.Reader.AdvanceTo(canceled.Buffer.Start);
        }
        catch (OperationCanceledException)
        {
            Assert.True(byToken);
        }

        ReadResult second = await Task.Run(() => pipe.Reader.ReadAsync().InTime());
        Assert.Equal(1, second.Buffer.Length);
        pipe.Reader.AdvanceTo(second.Buffer.End);
    }

    /// <summary>Kestrel cancels the read of an idle connection when it stops. The request that has come just before must not be
    /// lost.</summary>
    [Theory]
    [InlineData("waits for the worker", true)]
    [InlineData("begins afterwards", true)]
    [InlineData("begins afterwards", false)]
    public async Task A_cancelled_read_brings_the_bytes_that_have_come_before(string read, bool onWorker)
    {
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 1, HandsOff = false, Backend = SuiteSettings.EngineBackend });
        await using var pipe = new SocketPipe(runtime: runtime);
        using var release = new ManualResetEventSlim();
        Task<ReadResult> reading;
        if (read == "begins afterwards")
        {
            pipe.Send([1]);
            pipe.Reader.CancelPendingRead();
            reading = onWorker
                ? ReadOnWorkerAsync()
                : Task.Run(() => pipe.Reader.ReadAsync().AsTask());
        }
        else
        {
            Task<ReadResult> first = pipe.Reader.ReadAsync().AsTask();
            pipe.Send([0]);
            pipe.Reader.AdvanceTo((await first.InTime()).Buffer.End);
            reading = pipe.Reader.ReadAsync().AsTask();
            Task blocked = pipe.RunOnWorker(() =>
            {
                Assert.True(release.Wait(Patience.Limit));
                return Task.CompletedTask;
            });
            pipe.Send([1]);
            pipe.Reader.CancelPendingRead();
            release.Set();
            await blocked.InTime();
        }

        ReadResult result = await reading.InTime();
        Assert.True(result.IsCanceled);
        Assert.Equal([1], result.Buffer.ToArray());
        pipe.Reader.AdvanceTo(result.Buffer.End);

        async Task<ReadResult> ReadOnWorkerAsync()
        {
            ReadResult found = default;
            await pipe.RunOnWorker(async () => found = await pipe.Reader.ReadAsync());
            return found;
        }
    }

    /// <summary>As for a client that sends its next request while the server, which is stopping, still answers the last one.</summary>
    [Theory]
    [InlineData("on the worker", true)]
    [InlineData("on the worker", false)]
    [InlineData("elsewhere", false)]
    [InlineData("TryRead", false)]
    public async Task A_cancelled_read_brings_the_bytes_that_have_come_since_the_kernel_was_drained(string read, bool isLatched)
    {
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = isLatched ? 2 : 1, HandsOff = false, Backend = SuiteSettings.EngineBackend });
        await using var pipe = new SocketPipe(runtime: runtime);
        pipe.Send([0]);
        ReadResult result = default;
        await pipe.RunOnWorker(async () =>
        {
            result = await pipe.Reader.ReadAsync();
            pipe.Reader.AdvanceTo(result.Buffer.End);
            long events = runtime.GetStatistics().Events;
            pipe.Send([1]);
            if (isLatched)
            {
                // The other worker has nothing else to do, and nobody waits for the edge. If it does not fetch it in time, this is the other case.
                SpinWait.SpinUntil(() => runtime.GetStatistics().Events != events, TimeSpan.FromSeconds(1));
            }

            pipe.Reader.CancelPendingRead();
            if (read == "on the worker")
            {
                result = await pipe.Reader.ReadAsync();
            }
            else if (read == "TryRead")
            {
                Assert.True(pipe.Reader.TryRead(out result));
            }
        }).InTime();
        if (read == "elsewhere")
        {
            result = await Task.Run(() => pipe.Reader.ReadAsync().AsTask()).InTime();
        }

        Assert.True(result.IsCanceled);
        Assert.Equal([1], result.Buffer.ToArray());
        pipe.Reader.AdvanceTo(result.Buffer.End);
    }

    [Fact]
    public async Task Cancelling_and_aborting_run_nothing_on_the_calling_thread()
    {
        await using var pipe = new SocketPipe();
        Action[] endings = [pipe.Reader.CancelPendingRead, () => pipe.Abort(new ConnectionAbortedException())];
        foreach (Action ending in endings)
        {
            // The ending holds a lock that the continuation needs, as Kestrel's may.
            object kestrelLock = new();
            Task<bool> read = await Task.Run(() => Task.FromResult(ReadAndLockAsync(pipe, kestrelLock)));
            lock (kestrelLock)
            {
                ending();
            }

            Assert.True(await read.InTime());
        }

        static async Task<bool> ReadAndLockAsync(SocketPipe pipe, object kestrelLock)
        {
            try
            {
                await pipe.Reader.ReadAsync();
            }
            catch (ConnectionAbortedException)
            {
            }

            lock (kestrelLock)
            {
                return pipe.OnWorker;
            }
        }
    }
}
