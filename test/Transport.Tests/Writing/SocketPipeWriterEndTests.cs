using System.IO.Pipelines;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using Microsoft.AspNetCore.Connections;
using static KestrelNetpoll.Transport.Tests.Writing.WriterFilling;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>How writing ends: completed, drained, aborted, failed; and what is sent before.</summary>
[OneMode]
public sealed class SocketPipeWriterEndTests
{
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
    public async Task Completing_with_an_error_sends_what_was_written_and_says_so()
    {
        await using var pipe = new SocketPipe();
        Write(pipe, 10);
        Exception error = new InvalidDataException();
        pipe.Writer.Complete(error);
        Assert.Equal(10, pipe.Writer.BytesSent);
        Assert.Same(error, await pipe.Owner.OutputBroken.InTime());
        pipe.Writer.Complete(new InvalidDataException());
    }

    [Fact]
    public async Task Completing_with_an_error_during_a_send_or_before_a_peer_that_takes_nothing_says_so_at_once()
    {
        await using var pipe = new SocketPipe();
        pipe.SystemCalls.DuringNextSend = () =>
        {
            pipe.Writer.Complete(new InvalidDataException());
            Assert.True(pipe.Owner.OutputBroken.IsCompleted);
        };
        await pipe.Writer.WriteAsync(new byte[10]).InTime();

        await using var full = new SocketPipe();
        await FillAsync(full);
        full.Writer.Complete(new InvalidDataException());
        Assert.True(full.Owner.OutputBroken.IsCompleted);
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

    [Fact]
    public async Task Whoever_ends_the_connection_during_a_send_is_told_when_it_stops()
    {
        await using var pipe = new SocketPipe();
        pipe.SystemCalls.MaxBytesPerSend = 4;
        pipe.SystemCalls.DuringNextSend = () =>
        {
            Assert.False(pipe.Writer.FlushBeforeEnd());
            Assert.False(pipe.Writer.FlushBeforeEnd());
            Assert.Equal(0, pipe.Owner.SendingStops);
        };
        await pipe.Writer.WriteAsync(new byte[10]).InTime();
        Assert.Equal(1, pipe.Owner.SendingStops);
        Assert.Equal(10, pipe.Writer.BytesSent);

        // Nobody sends any more, so nobody tells.
        Assert.True(pipe.Writer.FlushBeforeEnd());
        await pipe.Writer.WriteAsync(new byte[10]).InTime();
        Assert.Equal(1, pipe.Owner.SendingStops);
    }

    [Fact]
    public async Task Whoever_ends_the_connection_is_told_when_a_worker_has_sent_what_is_more_than_its_share()
    {
        await using var pipe = new SocketPipe(workers: 1);
        int written = await FillAsync(pipe);
        Write(pipe, 4_000);
        written += 4_000;
        await pipe.Writer.FlushAsync().InTime();
        var sent = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        pipe.Owner.WhenSendingStops = () => sent.SetResult(pipe.Writer.BytesSent);

        // 40 sends at least; a share has 32.
        pipe.SystemCalls.MaxBytesPerSend = 100;
        pipe.SystemCalls.DuringNextSend = () => Assert.False(pipe.Writer.FlushBeforeEnd());
        pipe.ReceiveExactly((int)pipe.Writer.BytesSent);

        Assert.Equal(written, await sent.Task.InTime());
    }

    /// <summary>The peer has finished, and waits for its responses.</summary>
    [Fact]
    public async Task Whoever_ends_the_connection_is_told_when_the_peer_has_taken_what_is_queued()
    {
        await using var pipe = new SocketPipe();
        int written = await FillAsync(pipe);
        Write(pipe, 4_000);
        written += 4_000;
        await pipe.Writer.FlushAsync().InTime();
        var sent = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        pipe.Owner.WhenSendingStops = () => sent.SetResult(pipe.Writer.BytesSent);
        Assert.False(pipe.Writer.FlushBeforeEnd());
        pipe.ReceiveExactly(written);
        Assert.Equal(written, await sent.Task.InTime());
        Assert.True(pipe.Writer.FlushBeforeEnd());
    }

    [Fact]
    public async Task Whoever_ends_the_connection_does_not_wait_for_ever_for_a_peer_that_takes_nothing()
    {
        await using var pipe = new SocketPipe(endLimit: TimeSpan.FromMilliseconds(1));
        await FillAsync(pipe);
        Assert.False(pipe.Writer.FlushBeforeEnd());
        await Patience.UntilAsync(() => pipe.Owner.SendingStops == 1, "it is told");
        Assert.NotEqual(0, pipe.Pool.RentedBlocks);
    }

    [Fact]
    public async Task Whoever_closes_the_connection_does_not_wait_for_the_peer()
    {
        await using var pipe = new SocketPipe();
        await FillAsync(pipe);
        Assert.True(pipe.Writer.FlushBeforeClose());
    }

    [Fact]
    public async Task Whoever_ends_the_connection_during_a_send_is_told_also_if_it_fails()
    {
        await using var pipe = new SocketPipe();
        pipe.SystemCalls.DuringNextSend = () =>
        {
            Assert.False(pipe.Writer.FlushBeforeEnd());
            pipe.Abort(new ConnectionAbortedException());
        };
        await pipe.Writer.WriteAsync(new byte[10]).InTime();
        Assert.Equal(1, pipe.Owner.SendingStops);
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
    public async Task Memory_on_lease_survives_an_abort()
    {
        await using var pipe = new SocketPipe();
        await FillAsync(pipe);
        Memory<byte> leased = pipe.Writer.GetMemory(10);
        pipe.Abort(new ConnectionAbortedException());

        // Whoever is sending what was held gives the others back when it stops.
        await Patience.UntilAsync(() => pipe.Pool.RentedBlocks == 1, "only the leased block is left");
        leased.Span.Fill(1);
        pipe.Writer.Advance(10);
        Assert.True((await pipe.Writer.FlushAsync().InTime()).IsCompleted);
        await Patience.UntilAsync(() => pipe.Pool.RentedBlocks == 0, "no block is left");
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
    public async Task A_pool_that_fails_in_the_middle_of_a_write_ends_the_connection()
    {
        await using var pipe = new SocketPipe();
        pipe.Pool.Failure = new InsufficientMemoryException();
        Assert.Throws<InsufficientMemoryException>(() => pipe.Writer.GetMemory());

        Assert.True((await pipe.Writer.WriteAsync(new byte[10_000_000]).InTime()).IsCompleted);
        Assert.IsType<InsufficientMemoryException>(pipe.Owner.Unexpected);
        pipe.Owner.Unexpected = null;
    }

    /// <summary>Those who wait do so no longer, whatever the pool says.</summary>
    [Fact]
    public async Task A_pool_that_does_not_want_its_memory_back_keeps_nobody_waiting()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000, workers: 1);
        Task<FlushResult> flush = await FillUntilAFlushWaitsAsync(pipe);
        Task draining = pipe.Writer.DrainAsync();
        pipe.Pool.ReturnFailure = new InsufficientMemoryException();
        pipe.Abort(new ConnectionAbortedException());
        Assert.True((await flush.InTime()).IsCompleted);
        await draining.InTime();
        Assert.IsType<InsufficientMemoryException>(pipe.Owner.Unexpected);
        pipe.Pool.ReturnFailure = null;

        // The turn that waited for room has found the socket closed, too.
        await pipe.ParkedAsync();
        pipe.Owner.Unexpected = null;
    }

    [Fact]
    public async Task What_is_written_when_nobody_can_get_it_takes_no_memory()
    {
        await using var pipe = new SocketPipe();
        pipe.Abort(new ConnectionAbortedException());
        for (int i = 0; i < 100; i++)
        {
            Write(pipe, 3_000);
        }

        Assert.Equal(1, pipe.Pool.RentedBlocks);
        Assert.Throws<ArgumentOutOfRangeException>(() => pipe.Writer.Advance(1_000_000));
        Assert.True((await pipe.Writer.FlushAsync().InTime()).IsCompleted);
        Assert.Equal(0, pipe.Pool.RentedBlocks);
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
}
