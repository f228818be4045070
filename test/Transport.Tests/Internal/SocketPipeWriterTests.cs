using System.IO.Pipelines;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Internal;

/// <summary>What the writer does beyond a pipe's: system calls, blocks, failures, threads.</summary>
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
            Assert.True(pipe.Writer.FlushAsync().AsTask().IsCompletedSuccessfully);
            Assert.Equal(1, pipe.SystemCalls.Sends - sends);
            Assert.Equal(0, pipe.Pool.RentedBlocks);
            pipe.ReceiveExactly(size * 2);
        }
    }

    [Fact]
    public async Task A_write_to_a_peer_that_takes_it_needs_no_block()
    {
        await using var pipe = new SocketPipe();
        Assert.True(pipe.Writer.WriteAsync(new byte[100_000]).AsTask().IsCompletedSuccessfully);
        Assert.Equal(0, pipe.Pool.TotalRents);
        Assert.Equal(1, pipe.SystemCalls.Sends);
        pipe.ReceiveExactly(100_000);
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
        Assert.Equal(0, pipe.Pool.RentedBlocks);
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
    public async Task Completing_sends_what_was_written()
    {
        await using var pipe = new SocketPipe();
        Write(pipe, 10);
        pipe.Writer.Complete();
        Assert.True(pipe.Writer.DrainAsync().IsCompletedSuccessfully);
        pipe.ReceiveExactly(10);
    }

    [Fact]
    public async Task Draining_waits_until_the_kernel_has_everything()
    {
        await using var pipe = new SocketPipe();
        Assert.True(pipe.Writer.DrainAsync().IsCompletedSuccessfully);
        int written = await FillAsync(pipe);
        Task draining = pipe.Writer.DrainAsync();
        Task drainingToo = pipe.Writer.DrainAsync();
        pipe.ReceiveExactly(1_000);
        Assert.False(draining.IsCompleted);
        pipe.ReceiveExactly(written - 1_000);
        await draining.InTime();
        await drainingToo.InTime();
    }

    [Fact]
    public async Task Draining_waits_for_a_send_that_is_under_way()
    {
        await using var pipe = new SocketPipe();
        Task? draining = null;
        pipe.SystemCalls.DuringNextSend = () =>
        {
            draining = pipe.Writer.DrainAsync();
            Assert.False(draining.IsCompleted);
        };
        await pipe.Writer.WriteAsync(new byte[10]).InTime();
        await draining!.InTime();
    }

    [Theory]
    [InlineData(100)]
    [InlineData(20_000)]
    public async Task An_abort_during_a_send_leaves_the_blocks_to_the_sender(int size)
    {
        await using var pipe = new SocketPipe();
        Write(pipe, size / 2);
        Write(pipe, size / 2);
        int rented = pipe.Pool.RentedBlocks;
        pipe.SystemCalls.DuringNextSend = () =>
        {
            pipe.Abort(new ConnectionAbortedException());
            Assert.Equal(rented, pipe.Pool.RentedBlocks);
        };
        Assert.True((await pipe.Writer.FlushAsync().InTime()).IsCompleted);
        Assert.Equal(0, pipe.Pool.RentedBlocks);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_abort_or_a_close_ends_the_flush_and_the_drain_that_wait(bool abort)
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000);
        Task<FlushResult> flush = await FillUntilAFlushWaitsAsync(pipe);
        Task draining = pipe.Writer.DrainAsync();
        if (abort)
        {
            pipe.Abort(new ConnectionAbortedException());
        }
        else
        {
            pipe.Socket.Close();
        }

        Assert.True((await flush.InTime()).IsCompleted);
        await draining.InTime();
        Assert.Equal(0, pipe.Pool.RentedBlocks);
        Assert.False(pipe.Owner.OutputFailed.IsCompleted);
        Assert.True((await pipe.Writer.WriteAsync(new byte[10]).InTime()).IsCompleted);
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
        Assert.Equal([42, 43], pipe.ReceiveExactly(2));
        Assert.Equal(0, pipe.Pool.RentedBlocks);
    }

    [Fact]
    public async Task Memory_on_lease_survives_an_abort()
    {
        await using var pipe = new SocketPipe();
        await FillAsync(pipe);
        Memory<byte> leased = pipe.Writer.GetMemory(10);
        pipe.Abort(new ConnectionAbortedException());
        Assert.Equal(1, pipe.Pool.RentedBlocks);
        leased.Span.Fill(1);
        pipe.Writer.Advance(10);
        Assert.True((await pipe.Writer.FlushAsync().InTime()).IsCompleted);
        Assert.Equal(0, pipe.Pool.RentedBlocks);
    }

    [Fact]
    public async Task A_peer_that_is_gone_is_reported_as_a_reset()
    {
        await using var pipe = new SocketPipe();
        pipe.Peer.Dispose();
        Assert.True((await pipe.Writer.WriteAsync(new byte[10]).InTime()).IsCompleted);
        Assert.IsType<ConnectionResetException>(await pipe.Owner.OutputFailed.InTime());
    }

    [Fact]
    public async Task Other_errors_stay_what_they_are_and_no_flush_throws()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000);
        Task<FlushResult> flush = await FillUntilAFlushWaitsAsync(pipe);
        pipe.SystemCalls.Failure = Errno.ETIMEDOUT;
        pipe.Socket.WakeWriter();
        Assert.True((await flush.InTime()).IsCompleted);
        Assert.Equal(SocketError.TimedOut, Assert.IsType<SocketException>(await pipe.Owner.OutputFailed.InTime()).SocketErrorCode);
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
            Task<bool> flush = await Task.Run(() => Task.FromResult(FlushAndLockAsync(pipe, kestrelLock)));
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
    public async Task A_pool_that_fails_in_the_middle_of_a_write_ends_the_connection()
    {
        await using var pipe = new SocketPipe();
        pipe.Pool.Failure = new InsufficientMemoryException();
        Assert.Throws<InsufficientMemoryException>(() => pipe.Writer.GetMemory());

        Assert.True((await pipe.Writer.WriteAsync(new byte[10_000_000]).InTime()).IsCompleted);
        Assert.IsType<InsufficientMemoryException>(pipe.Owner.Unexpected);
        pipe.Owner.Unexpected = null;
    }

    [Fact]
    public async Task A_pool_that_fails_during_a_send_ends_the_connection()
    {
        await using var pipe = new SocketPipe();
        Write(pipe, 4_000);
        Write(pipe, 4_000);
        pipe.Pool.PinFailure = new InsufficientMemoryException();
        Assert.True((await pipe.Writer.FlushAsync().InTime()).IsCompleted);
        Assert.IsType<InsufficientMemoryException>(pipe.Owner.Unexpected);
        Assert.Equal(0, pipe.Pool.RentedBlocks);
        pipe.Owner.Unexpected = null;
    }

    private static void Write(SocketPipe pipe, int count)
    {
        pipe.Writer.GetSpan(count)[..count].Fill(7);
        pipe.Writer.Advance(count);
    }

    /// <summary>Writes until the kernel takes no more.</summary>
    private static async Task<int> FillAsync(SocketPipe pipe)
    {
        int written = 0;
        do
        {
            Write(pipe, 4_000);
            written += 4_000;
            await pipe.Writer.FlushAsync().InTime();
        }
        while (pipe.Pool.RentedBlocks == 0);

        return written;
    }

    private static async Task<Task<FlushResult>> FillUntilAFlushWaitsAsync(SocketPipe pipe)
    {
        while (true)
        {
            Write(pipe, 4_000);
            Task<FlushResult> flush = pipe.Writer.FlushAsync().AsTask();
            if (!flush.IsCompleted)
            {
                return flush;
            }

            Assert.False((await flush).IsCompleted);
        }
    }

    private static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }

    [Fact]
    public async Task A_peer_that_takes_everything_does_not_keep_the_worker_from_other_turns()
    {
        const int Total = 1_000_000;
        const int MaxSendsInARow = 32;

        // Its blocked worker must not be replaced: that one would send at once.
        using var runtime = new NetpollRuntime(new NetpollRuntimeOptions { WorkerCount = 1, HandsOff = false, Name = "test" });
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
}
