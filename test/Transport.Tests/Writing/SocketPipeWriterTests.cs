using System.IO.Pipelines;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using Microsoft.AspNetCore.Connections;
using static KestrelNetpoll.Transport.Tests.Writing.WriterFilling;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>What the writer does beyond a pipe's: system calls, blocks, threads.</summary>
[OneMode]
public sealed class SocketPipeWriterTests
{
    [Fact]
    public async Task What_the_peer_takes_is_sent_with_one_call_and_no_block_stays()
    {
        await using var pipe = new SocketPipe();
        foreach (int size in (int[])[1, 4_096, 100_000])
        {
            int sends = pipe.SystemCalls.Sends;
            pipe.Writer.GetSpan(size)[..size].Fill(1);
            pipe.Writer.Advance(size);
            Write(pipe, size);

            // A large one lets others go first, if they wait for the thread pool; a small one may be another thread's to send by now.
            await pipe.Writer.FlushAsync().InTime();
            pipe.Writer.SendHeld();
            await Patience.UntilAsync(() => pipe.Pool.RentedBlocks == 0, "no block stays");
            Assert.Equal(1, pipe.SystemCalls.Sends - sends);
            pipe.ReceiveExactly(size * 2);
        }
    }

    [Fact]
    public async Task A_write_to_a_peer_that_takes_it_needs_no_block()
    {
        await using var pipe = new SocketPipe();
        Assert.True(pipe.Writer.WriteAsync(new byte[60_000]).AsTask().IsCompletedSuccessfully);
        Assert.Equal(0, pipe.Pool.TotalRents);
        Assert.Equal(1, pipe.SystemCalls.Sends);
        pipe.ReceiveExactly(60_000);
    }

    [Fact]
    public async Task Short_sends_are_continued()
    {
        await using var pipe = new SocketPipe();
        pipe.SystemCalls.MaxBytesPerSend = 777;
        byte[] bytes = RandomBytes(20_000);
        await pipe.Writer.WriteAsync(bytes.AsMemory(0, 10_000)).InTime();
        bytes.AsSpan(10_000).CopyTo(pipe.Writer.GetSpan(10_000));
        pipe.Writer.Advance(10_000);
        await pipe.Writer.FlushAsync().InTime();
        Assert.True(bytes.AsSpan().SequenceEqual(pipe.ReceiveExactly(bytes.Length)));
        await Patience.UntilAsync(() => pipe.Pool.RentedBlocks == 0, "no block stays");
    }

    /// <summary>A call takes 1,024 buffers at most, by the kernel's rule, and 64 by the transport's.</summary>
    [Theory]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(1023)]
    [InlineData(1024)]
    [InlineData(1025)]
    public async Task Any_number_of_segments_arrives_in_order(int segments)
    {
        const int SegmentLength = 100;
        await using var pipe = new SocketPipe();
        byte[] bytes = RandomBytes(segments * SegmentLength);
        for (int i = 0; i < segments; i++)
        {
            // What is left of the last block is not enough for that.
            Memory<byte> segment = pipe.Writer.GetMemory(4_096);
            bytes.AsSpan(i * SegmentLength, SegmentLength).CopyTo(segment.Span);
            pipe.Writer.Advance(SegmentLength);
        }

        Assert.Equal(segments, pipe.Pool.TotalRents);
        Task<FlushResult> flush = pipe.Writer.FlushAsync().AsTask();
        Assert.True(bytes.AsSpan().SequenceEqual(pipe.ReceiveExactly(bytes.Length)));
        await flush.InTime();
        await pipe.Writer.DrainAsync().InTime();
        Assert.True(pipe.SystemCalls.Sends >= (segments + 63) / 64);
        Assert.Equal(0, pipe.Pool.RentedBlocks);
    }

    [Fact]
    public async Task A_slow_peer_gets_everything_in_order()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 20_000, sendBufferSize: 4_096);
        byte[] bytes = RandomBytes(2_000_000);
        Task writing = Task.Run(async () =>
        {
            var random = new Random(1);
            for (int written = 0; written < bytes.Length;)
            {
                ReadOnlyMemory<byte> piece = bytes.AsMemory(written, Math.Min(random.Next(1, 30_000), bytes.Length - written));
                if (random.Next(2) == 0)
                {
                    await pipe.Writer.WriteAsync(piece);
                }
                else
                {
                    for (ReadOnlyMemory<byte> rest = piece; !rest.IsEmpty;)
                    {
                        Memory<byte> memory = pipe.Writer.GetMemory();
                        int length = Math.Min(memory.Length, rest.Length);
                        rest[..length].CopyTo(memory);
                        pipe.Writer.Advance(length);
                        rest = rest[length..];
                    }

                    await pipe.Writer.FlushAsync();
                }

                written += piece.Length;
            }

            pipe.Writer.Complete();
            await pipe.Writer.DrainAsync();
        });
        byte[] received = await Task.Run(() => pipe.ReceiveExactly(bytes.Length)).InTime();
        await writing.InTime();
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Equal(0, pipe.Pool.RentedBlocks);
    }

    [Fact]
    public async Task Memory_on_lease_survives_the_draining_of_what_was_written_before()
    {
        await using var pipe = new SocketPipe();
        int written = await FillAsync(pipe);
        Memory<byte> leased = pipe.Writer.GetMemory(1);
        leased.Span[0] = 42;
        pipe.ReceiveExactly(written);
        await pipe.Writer.DrainAsync().InTime();

        leased.Span[1] = 43;
        Assert.Equal(42, pipe.Writer.GetSpan()[0]);
        pipe.Writer.Advance(2);
        await pipe.Writer.FlushAsync().InTime();
        pipe.Writer.SendHeld();
        Assert.Equal([42, 43], pipe.ReceiveExactly(2));
        await Patience.UntilAsync(() => pipe.Pool.RentedBlocks == 0, "no block stays");
    }

    [Fact]
    public async Task Cancelling_and_aborting_run_nothing_on_the_calling_thread()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000);
        Action[] endings = [pipe.Writer.CancelPendingFlush, () => pipe.Writer.Abort(new ConnectionAbortedException())];
        foreach (Action ending in endings)
        {
            // The ending holds a lock that the continuation needs, as Kestrel's may.
            object kestrelLock = new();

            // On a thread of its own: a flush may let others go first on the thread pool, and is then no flush that waits for its peer.
            Task<bool> flush = await Task.Factory.StartNew(
                () => Task.FromResult(FlushAndLockAsync(pipe, kestrelLock)), TaskCreationOptions.LongRunning).Unwrap();
            lock (kestrelLock)
            {
                ending();
            }

            Assert.True(await flush.InTime());
        }

        static async Task<bool> FlushAndLockAsync(SocketPipe pipe, object kestrelLock)
        {
            ValueTask<FlushResult> flush;
            do
            {
                Write(pipe, 4_000);
                flush = pipe.Writer.FlushAsync();
            }
            while (flush.IsCompleted);

            await flush;
            lock (kestrelLock)
            {
                return pipe.OnWorker;
            }
        }
    }

    [Fact]
    public async Task Wakeups_for_nothing_do_nothing()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000);
        Task<FlushResult> flush = await FillUntilAFlushWaitsAsync(pipe);
        for (int i = 0; i < 100; i++)
        {
            pipe.Socket.WakeWriter();
            Thread.Yield();
        }

        Assert.False(flush.IsCompleted);
        pipe.Writer.CancelPendingFlush();
        Assert.True((await flush.InTime()).IsCanceled);
    }

    [Fact]
    public async Task A_peer_that_takes_everything_does_not_keep_the_worker_from_other_turns()
    {
        const int Total = 1_000_000;
        const int MaxSendsInARow = 32;

        // Its blocked worker must not be replaced: that one would send at once.
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 1, HandsOff = false, Name = "test", Backend = SuiteSettings.EngineBackend });
        await using var pipe = new SocketPipe(runtime: runtime, sendBufferSize: 200_000);
        await pipe.Writer.WriteAsync(new byte[Total]).InTime();
        using var busy = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        Task blocked = pipe.RunOnWorker(() =>
        {
            busy.Set();
            return Task.FromResult(release.Wait(Patience.Limit));
        });
        Assert.True(busy.Wait(Patience.Limit));
        int sent = (int)pipe.Writer.BytesSent;
        pipe.ReceiveExactly(sent);

        // From here on the socket takes more sends than a turn may make.
        var seen = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        pipe.SystemCalls.MaxBytesPerSend = 100;
        pipe.SystemCalls.DuringNextSend = () =>
        {
            int first = pipe.SystemCalls.Sends;
            _ = pipe.RunOnWorker(() =>
            {
                seen.SetResult(pipe.SystemCalls.Sends - first + 1);
                pipe.SystemCalls.MaxBytesPerSend = int.MaxValue;
                return Task.CompletedTask;
            });
        };
        release.Set();
        await blocked.InTime();

        Assert.Equal(MaxSendsInARow, await seen.Task.InTime());
        pipe.ReceiveExactly(Total - sent);
        await pipe.Writer.DrainAsync().InTime();
    }

    private static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }
}
