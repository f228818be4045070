using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using KestrelNetpoll.Transport.Tests.Writing;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>How a reader learns of the end of a connection, and what it makes of it.</summary>
[OneMode]
public sealed class SocketPipeReaderEndTests
{
    [Fact]
    public async Task The_end_is_not_reported_together_with_bytes_that_were_not_examined()
    {
        await using var pipe = new SocketPipe();
        pipe.Send([1, 2, 3]);
        pipe.ShutdownPeer();
        ReadResult result = await pipe.Reader.ReadAsync().InTime();
        Assert.Equal(3, result.Buffer.Length);
        Assert.False(result.IsCompleted);
        pipe.Reader.AdvanceTo(result.Buffer.GetPosition(1));

        // Known by now, and still behind what is not examined.
        Assert.Null(await pipe.Owner.InputEnded.InTime());
        result = await pipe.Reader.ReadAsync().InTime();
        Assert.False(result.IsCompleted);
        pipe.Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);

        result = await pipe.Reader.ReadAsync().InTime();
        Assert.True(result.IsCompleted);
        Assert.Equal([2, 3], result.Buffer.ToArray());
    }

    [Fact]
    public async Task A_hangup_is_noticed_while_the_application_does_not_read()
    {
        await using var pipe = new SocketPipe();
        pipe.Send([1]);
        ReadResult first = await pipe.Reader.ReadAsync().InTime();
        pipe.Send(new byte[10_000]);
        pipe.ShutdownPeer();
        Assert.Null(await pipe.Owner.InputEnded.InTime());

        // The result handed out before is as it was, and nothing has been lost.
        Assert.Equal([1], first.Buffer.ToArray());
        pipe.Reader.AdvanceTo(first.Buffer.End);
        Assert.Equal(10_000, await ReadToEndAsync(pipe.Reader));
    }

    [Fact]
    public async Task A_hangup_whose_turn_came_before_the_read_got_its_bytes_is_noticed()
    {
        await using var pipe = new SocketPipe(workers: 1, hangupTurn: false);
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        await pipe.ParkedAsync();
        using var busy = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        Task blocked = pipe.RunOnWorker(() =>
        {
            busy.Set();
            return Task.FromResult(release.Wait(Patience.Limit));
        });
        Assert.True(busy.Wait(Patience.Limit));

        // Bytes and end in one event. The turn leaves both to the read that waits, which then keeps the application busy.
        pipe.Send([1]);
        pipe.ShutdownPeer();
        pipe.Reader.OnHangup();
        release.Set();
        await blocked.InTime();
        ReadResult result = await read.InTime();
        Assert.False(result.IsCompleted);
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    /// <summary>It has gone on to the next request there, and is to be done with it before it learns of the end.</summary>
    [Fact]
    public async Task A_hangup_is_left_to_the_end_of_a_turn_in_which_the_application_goes_on_after_a_flush()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000, sendBufferSize: 10_000, hangupTurn: false);
        bool noticed = true;
        Task app = await WaitForFlushAsync(pipe, () =>
        {
            pipe.ShutdownPeer();
            pipe.Reader.OnHangup();
            noticed = pipe.Owner.InputEnded.IsCompleted;
        });
        pipe.ReceiveExactly((int)pipe.Writer.BytesSent);
        await app.InTime();
        Assert.False(noticed);
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    /// <summary>Another worker sends the rest of what was written meanwhile, in turns in which the application does not go on.</summary>
    [Fact]
    public async Task Turns_that_only_send_do_not_end_the_one_in_which_the_application_goes_on()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 40_000, sendBufferSize: 4_096, hangupTurn: false);
        using var entered = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        Task app = await WaitForFlushAsync(pipe, () =>
        {
            entered.Set();
            release.Wait(Patience.Limit);
        });
        byte[] block = new byte[1_000];
        while (!entered.IsSet || !pipe.Writer.DrainAsync().IsCompleted)
        {
            if (pipe.Peer.Available != 0)
            {
                pipe.Peer.Receive(block);
            }
        }

        // Time for the turn that has sent it to end.
        await Task.Delay(10);
        pipe.ShutdownPeer();
        pipe.Reader.OnHangup();
        bool noticed = pipe.Owner.InputEnded.IsCompleted;
        release.Set();
        await app.InTime();
        Assert.False(noticed);
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    [Fact]
    public async Task A_hangup_is_left_to_the_turn_that_a_waiting_flush_will_end_in()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000, sendBufferSize: 10_000, hangupTurn: false);
        Task app = await WaitForFlushAsync(pipe, static () => { });
        pipe.ShutdownPeer();
        pipe.Reader.OnHangup();
        bool noticed = pipe.Owner.InputEnded.IsCompleted;
        pipe.ReceiveExactly((int)pipe.Writer.BytesSent);
        await app.InTime();
        Assert.False(noticed);
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    /// <summary>Another worker has sent everything before the application has got as far as to await that: its turn is still to come.</summary>
    [Fact]
    public async Task A_hangup_is_left_to_the_turn_of_a_flush_that_was_answered_before_its_awaiter_was_there()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 10_000, sendBufferSize: 10_000, workers: 1, hangupTurn: false);
        bool noticed = true;
        bool inTurn = false;
        await pipe.RunOnWorker(async () =>
        {
            // As the application's first read would have been.
            pipe.Send([1]);
            ReadResult result = await pipe.Reader.ReadAsync();
            pipe.Reader.AdvanceTo(result.Buffer.End);
            await AwaitLateAsync();
        }).InTime();
        Assert.True(inTurn);
        Assert.False(noticed);
        Assert.Null(await pipe.Owner.InputEnded.InTime());

        async Task AwaitLateAsync()
        {
            ValueTask<FlushResult> flush;
            do
            {
                WriterFilling.Write(pipe, 4_000);
                flush = pipe.Writer.FlushAsync();
            }
            while (flush.IsCompleted);

            // Not inside the turn of the read any more, nor on a worker. When the only worker has nothing to do, the flush has been answered.
            byte[] block = new byte[1_000];
            bool drained = await Task.Run(() => SpinWait.SpinUntil(
                () =>
                {
                    if (pipe.Peer.Available != 0)
                    {
                        pipe.Peer.Receive(block);
                    }

                    return pipe.Writer.DrainAsync().IsCompleted;
                },
                Patience.Limit));
            Assert.True(drained);
            await pipe.ParkedAsync();
            pipe.ShutdownPeer();
            pipe.Reader.OnHangup();
            noticed = pipe.Owner.InputEnded.IsCompleted;
            await flush;
            inTurn = pipe.Writer.IsTurnOfCurrentThread;
        }
    }

    [Fact]
    public async Task A_hangup_whose_turn_came_before_the_turn_of_a_cancelled_read_is_noticed()
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        await pipe.ParkedAsync();
        await pipe.RunOnWorker(() =>
        {
            // The worker looks at events between these and the read's turn, which is behind them.
            for (int i = 0; i < 40; i++)
            {
                _ = pipe.RunOnWorker(static () => Task.CompletedTask);
            }

            pipe.Reader.CancelPendingRead();
            pipe.ShutdownPeer();
            return Task.CompletedTask;
        }).InTime();

        Assert.True((await read.InTime()).IsCanceled);

        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    [Fact]
    public async Task Reading_ahead_stops_at_the_limit_and_loses_nothing()
    {
        const int Limit = 10_000;
        const int Sent = 100_000;
        await using var pipe = new SocketPipe(maxReadBufferSize: Limit, workers: 1);
        pipe.Send([1]);
        ReadResult result = await pipe.Reader.ReadAsync().InTime();
        pipe.Send(new byte[Sent]);
        pipe.ShutdownPeer();
        await Patience.UntilAsync(() => pipe.Pool.RentedBlocks > 2, "it has read ahead");
        await pipe.ParkedAsync();
        Assert.InRange(pipe.Pool.RentedBlocks, 3, (Limit / 4096) + 3);
        Assert.False(pipe.Owner.InputEnded.IsCompleted);

        pipe.Reader.AdvanceTo(result.Buffer.End);
        Assert.Equal(Sent, await ReadToEndAsync(pipe.Reader));
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    [Fact]
    public async Task A_hangup_ends_the_read_that_waits()
    {
        await using var pipe = new SocketPipe();
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        pipe.ShutdownPeer();
        ReadResult result = await read.InTime();
        Assert.True(result.IsCompleted);
        Assert.True(result.Buffer.IsEmpty);
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    [Fact]
    public async Task A_reset_fails_the_read_that_waits_and_every_later_one()
    {
        await using var pipe = new SocketPipe();
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        await ResetByPeerAsync(pipe);
        var error = await Assert.ThrowsAsync<ConnectionResetException>(() => read.InTime());
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(error.InnerException).SocketErrorCode);
        Assert.Same(error, await pipe.Owner.InputEnded.InTime());
        await Assert.ThrowsAsync<ConnectionResetException>(() => pipe.Reader.ReadAsync().InTime());
        Assert.Throws<ConnectionResetException>(() => pipe.Reader.TryRead(out _));
    }

    [Fact]
    public async Task A_reset_drops_what_is_buffered_but_not_what_the_application_holds()
    {
        await using var pipe = new SocketPipe();
        pipe.Send([1, 2, 3]);
        ReadResult result = await pipe.Reader.ReadAsync().InTime();
        await ResetByPeerAsync(pipe);
        Assert.IsType<ConnectionResetException>(await pipe.Owner.InputEnded.InTime());
        Assert.Equal([1, 2, 3], result.Buffer.ToArray());
        pipe.Reader.AdvanceTo(result.Buffer.Start);
        Assert.Equal(0, pipe.Pool.RentedBlocks);
        await Assert.ThrowsAsync<ConnectionResetException>(() => pipe.Reader.ReadAsync().InTime());
    }

    [Fact]
    public async Task Other_errors_stay_what_they_are()
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        await pipe.ParkedAsync();
        pipe.SystemCalls.Failure = Errno.ETIMEDOUT;
        pipe.Socket.WakeReader();
        var error = await Assert.ThrowsAsync<SocketException>(() => read.InTime());
        Assert.Equal(SocketError.TimedOut, error.SocketErrorCode);
        Assert.Same(error, await pipe.Owner.InputEnded.InTime());
    }

    [Fact]
    public async Task The_reason_of_an_abort_outranks_the_error_it_causes()
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        await pipe.ParkedAsync();
        var reason = new ConnectionAbortedException("on purpose");
        pipe.Owner.AbortReason = reason;
        pipe.SystemCalls.Failure = Errno.ECONNRESET;
        pipe.Socket.WakeReader();
        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(() => read.InTime()));
    }

    [Fact]
    public async Task An_abort_ends_the_read_that_waits_and_every_later_one()
    {
        await using var pipe = new SocketPipe();
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        var reason = new ConnectionAbortedException("on purpose");
        pipe.Abort(reason);
        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(() => read.InTime()));
        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(() => pipe.Reader.ReadAsync().InTime()));
        Assert.False(pipe.Owner.InputEnded.IsCompleted);
    }

    [Fact]
    public async Task A_close_without_a_reason_ends_the_read_that_waits()
    {
        await using var pipe = new SocketPipe();
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        pipe.Socket.Close();
        await Assert.ThrowsAsync<ConnectionAbortedException>(() => read.InTime());
    }

    [Fact]
    public async Task A_read_that_waits_while_the_reader_is_completed_ends_with_the_close()
    {
        await using var pipe = new SocketPipe();
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        pipe.Reader.Complete();
        pipe.Send([1]);
        pipe.Socket.Close();
        ReadResult result = await read.InTime();
        Assert.True(result.IsCompleted);
        Assert.True(result.Buffer.IsEmpty);
    }

    // On a worker: reads a byte, writes until a flush waits, and goes on when it no longer does. Returns when it waits. The result is all of it.
    // The kernel's buffer is to be full before the turn has sent its share, since a flush would wait only for its place in the queue then.
    private static async Task<Task> WaitForFlushAsync(SocketPipe pipe, Action goOn)
    {
        pipe.Send([1]);
        var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task app = pipe.RunOnWorker(async () =>
        {
            ReadResult result = await pipe.Reader.ReadAsync();
            pipe.Reader.AdvanceTo(result.Buffer.End);
            ValueTask<FlushResult> flush;
            do
            {
                WriterFilling.Write(pipe, 4_000);
                flush = pipe.Writer.FlushAsync();
            }
            while (flush.IsCompleted);

            Task going = GoOnAsync(flush);
            waiting.SetResult();
            await going;
        });
        await waiting.Task.InTime();
        return app;

        async Task GoOnAsync(ValueTask<FlushResult> flush)
        {
            await flush;
            Assert.True(pipe.Writer.IsTurnOfCurrentThread);
            goOn();
        }
    }

    private static async Task<long> ReadToEndAsync(PipeReader reader)
    {
        long count = 0;
        while (true)
        {
            ReadResult result = await reader.ReadAsync().InTime();
            count += result.Buffer.Length;
            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                return count;
            }
        }
    }

    // A Unix socket that is closed with bytes unread resets its peer.
    private static async Task ResetByPeerAsync(SocketPipe pipe)
    {
        // What the peer has not read makes its end a reset.
        await pipe.Writer.WriteAsync(new byte[1]).InTime();
        pipe.Writer.SendHeld();
        pipe.Peer.Dispose();
    }
}
