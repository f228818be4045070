using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>Input that waits while nobody reads it: what a look at it does in which state, and what reading ahead does.</summary>
[OneMode]
public sealed class SocketPipeReaderUnreadTests
{
    private const int Block = 4096;

    /// <summary>All states that a look can find. The looks are the test's.</summary>
    public enum State
    {
        NothingRead,
        ResultHeld,
        AllConsumed,
        Parked,
        Paused,
        HungUp,
        Ended,
        Failed,
        Aborted,
        Completed,
        Closed,
    }

    public static TheoryData<State> States => [.. Enum.GetValues<State>()];

    [Theory]
    [MemberData(nameof(States))]
    public async Task What_two_looks_do(State state)
    {
        const int Limit = 3 * Block;
        await using var pipe = new SocketPipe(maxReadBufferSize: Limit, workers: 1, hangupTurn: false);
        Task<ReadResult>? read = null;
        switch (state)
        {
            case State.ResultHeld:
            case State.AllConsumed:
                pipe.Send([1]);
                ReadResult result = await pipe.Reader.ReadAsync().InTime();
                if (state == State.AllConsumed)
                {
                    pipe.Reader.AdvanceTo(result.Buffer.End);
                }

                break;
            case State.Parked:
                read = pipe.Reader.ReadAsync().AsTask();
                await pipe.ParkedAsync();
                break;
            case State.Paused:
                pipe.Send(new byte[2 * Limit]);
                _ = await pipe.Reader.ReadAsync().InTime();
                _ = pipe.Reader.LookAtUnread();
                _ = pipe.Reader.LookAtUnread();
                await pipe.ParkedAsync();
                break;
            case State.HungUp:
                pipe.ShutdownPeer();
                await Patience.UntilAsync(() => pipe.Socket.HangupSeen, "the hang-up is known");
                break;
            case State.Ended:
                pipe.ShutdownPeer();
                Assert.True((await pipe.Reader.ReadAsync().InTime()).IsCompleted);
                break;
            case State.Failed:
                pipe.SystemCalls.Failure = Errno.ETIMEDOUT;
                Assert.Throws<SocketException>(() => pipe.Reader.TryRead(out _));
                break;
            case State.Aborted:
                pipe.Reader.Abort(new ConnectionAbortedException());
                break;
            case State.Completed:
                pipe.Reader.Complete();
                break;
            case State.Closed:
                pipe.Socket.Close();
                break;
        }

        bool reads = state is State.NothingRead or State.ResultHeld or State.AllConsumed;
        if (reads)
        {
            pipe.Send(new byte[100]);
        }

        int receives = pipe.SystemCalls.Receives;
        bool first = pipe.Reader.LookAtUnread();
        Assert.Equal(receives, pipe.SystemCalls.Receives);
        bool second = pipe.Reader.LookAtUnread();
        Assert.Equal((reads, false), (first, second));
        if (reads)
        {
            await Patience.UntilAsync(() => pipe.Reader.BytesReceived >= 100, "it is read ahead");
        }

        await pipe.ParkedAsync();
        Assert.Equal(reads, pipe.SystemCalls.Receives != receives);

        if (read is not null)
        {
            pipe.Reader.CancelPendingRead();
            await read.InTime();
        }
    }

    [Fact]
    public async Task A_read_between_the_looks_puts_reading_ahead_off()
    {
        await using var pipe = new SocketPipe(workers: 1, hangupTurn: false);
        for (int i = 0; i < 5; i++)
        {
            pipe.Send([1]);
            ReadResult result = await pipe.Reader.ReadAsync().InTime();
            pipe.Reader.AdvanceTo(result.Buffer.End);
            pipe.Send([2]);
            Assert.True(pipe.Reader.LookAtUnread());
            result = await pipe.Reader.ReadAsync().InTime();
            pipe.Reader.AdvanceTo(result.Buffer.End);
        }

        await pipe.ParkedAsync();
        Assert.Equal(10, pipe.Reader.BytesReceived);
    }

    [Theory]
    [InlineData(10_000, 500_000)]
    [InlineData(0, 5_000_000)]
    public async Task Input_that_nobody_reads_is_taken_in_up_to_the_limit(int limit, int sent)
    {
        await using var pipe = new SocketPipe(maxReadBufferSize: limit);
        Task sending = Task.Run(() => pipe.Send(new byte[sent]));
        if (limit == 0)
        {
            await sending.InTime();
        }

        await Patience.UntilAsync(() => pipe.Reader.BytesReceived >= (limit == 0 ? sent : limit), "it is taken in");
        Assert.InRange(pipe.Reader.BytesReceived, limit, limit == 0 ? sent : limit + Block);
        Task<long> reading = ConsumeAsync(pipe.Reader, sent);
        await sending.InTime();
        Assert.Equal(sent, await reading.InTime());
    }

    /// <summary>No edge tells of what a read has not asked for, because there was no room.</summary>
    [Fact]
    public async Task What_is_left_behind_a_full_block_is_taken_in_too()
    {
        await using var pipe = new SocketPipe();
        pipe.Send(new byte[10 * Block]);
        ReadResult result = await pipe.Reader.ReadAsync().InTime();
        Assert.Equal(Block, result.Buffer.Length);
        await Patience.UntilAsync(() => pipe.Reader.BytesReceived == 10 * Block, "it is taken in");

        // What was handed out before is as it was.
        Assert.Equal(Block, result.Buffer.Length);
        pipe.Reader.AdvanceTo(result.Buffer.End);
        Assert.Equal(9 * Block, await ConsumeAsync(pipe.Reader, 9 * Block));
    }

    [Fact]
    public async Task After_a_pause_reading_ahead_goes_on_when_half_has_been_examined()
    {
        const int Limit = 4 * Block;
        await using var pipe = new SocketPipe(maxReadBufferSize: Limit);
        pipe.Send(new byte[3 * Limit]);
        await Patience.UntilAsync(() => pipe.Reader.BytesReceived == Limit, "the buffer is full");
        ReadResult result = await pipe.Reader.ReadAsync().InTime();
        Assert.Equal(Limit, result.Buffer.Length);

        // Less than half: nothing.
        pipe.Reader.AdvanceTo(result.Buffer.GetPosition(Limit / 4));
        await Task.Delay(30);
        Assert.Equal(Limit, pipe.Reader.BytesReceived);
        result = await pipe.Reader.ReadAsync().InTime();
        pipe.Reader.AdvanceTo(result.Buffer.End);
        await Patience.UntilAsync(() => pipe.Reader.BytesReceived >= 2 * Limit, "the buffer is full again");
    }

    /// <summary>The end of the connection must not be a RST then, which the peer's next bytes would be answered with.</summary>
    [Fact]
    public async Task What_was_read_ahead_for_nobody_is_remembered_when_the_connection_ends()
    {
        await using var pipe = new SocketPipe();
        pipe.Send(new byte[100]);
        await Patience.UntilAsync(() => pipe.Reader.BytesReceived == 100, "it is taken in");
        Assert.False(pipe.Reader.HadUnreadInput);
        pipe.Reader.Abort(new ConnectionAbortedException());
        Assert.True(pipe.Reader.HadUnreadInput);
    }

    /// <summary>The bytes before the end fit in once half of the full buffer has been examined, although the application does not read on.</summary>
    [Fact]
    public async Task The_end_behind_a_full_buffer_is_told_when_half_has_been_examined()
    {
        const int Limit = 4 * Block;
        await using var pipe = new SocketPipe(maxReadBufferSize: Limit);
        pipe.Send(new byte[Limit + Block]);
        pipe.ShutdownPeer();
        await Patience.UntilAsync(() => pipe.Socket.HangupSeen && pipe.Reader.BytesReceived == Limit, "the buffer is full, and the end known");
        ReadResult result = await pipe.Reader.ReadAsync().InTime();
        Assert.False(pipe.Owner.InputEnded.IsCompleted);
        pipe.Reader.AdvanceTo(result.Buffer.End);
        Assert.Null(await pipe.Owner.InputEnded.InTime());
        Assert.Equal(Limit + Block, pipe.Reader.BytesReceived);
        Assert.Equal(Block, await ConsumeAsync(pipe.Reader, Block));
    }

    [Fact]
    public async Task A_reset_that_follows_a_FIN_is_told_although_the_buffer_is_full()
    {
        const int Limit = 2 * Block;
        await using var pipe = new SocketPipe(maxReadBufferSize: Limit);

        // What the peer has not read makes its close a reset.
        await pipe.Writer.WriteAsync(new byte[1]).InTime();
        pipe.Writer.SendHeld();
        pipe.Send(new byte[2 * Limit]);
        await Patience.UntilAsync(() => pipe.Reader.BytesReceived == Limit, "the buffer is full");
        pipe.ShutdownPeer();
        await Patience.UntilAsync(() => pipe.Socket.HangupSeen, "the hang-up is known");
        Assert.False(pipe.Owner.InputEnded.IsCompleted);
        pipe.Peer.Dispose();
        Assert.IsType<ConnectionResetException>(await pipe.Owner.InputEnded.InTime());
        await Assert.ThrowsAsync<ConnectionResetException>(() => pipe.Reader.ReadAsync().InTime());
    }

    /// <summary>Reads, pauses, cancelled reads and reading ahead in every order that comes about: not a byte is lost, nor doubled, nor moved.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(20_000)]
    [InlineData(0)]
    public async Task An_application_that_reads_from_time_to_time_gets_what_was_sent(int limit)
    {
        const int Sent = 1_000_000;
        await using var pipe = new SocketPipe(maxReadBufferSize: limit);
        byte[] bytes = new byte[Sent];
        new Random(1).NextBytes(bytes);
        Task sending = Task.Run(() =>
        {
            var random = new Random(2);
            for (int sent = 0; sent < Sent;)
            {
                int count = Math.Min(random.Next(1, 60_000), Sent - sent);
                pipe.Send(bytes.AsSpan(sent, count));
                sent += count;
                Thread.Sleep(random.Next(4));
            }

            pipe.ShutdownPeer();
        });
        var choices = new Random(3);
        var received = new ArrayBufferWriter<byte>(Sent);
        bool completed = false;
        while (!completed)
        {
            if (choices.Next(8) == 0)
            {
                await Task.Delay(choices.Next(25));
            }

            if (choices.Next(8) == 0)
            {
                pipe.Reader.CancelPendingRead();
            }

            ReadResult result = choices.Next(2) == 0 && pipe.Reader.TryRead(out ReadResult tried) ? tried : await pipe.Reader.ReadAsync().InTime();
            completed = result.IsCompleted && !result.IsCanceled;
            ReadOnlySequence<byte> consumed = completed || choices.Next(3) != 0 ? result.Buffer : result.Buffer.Slice(0, result.Buffer.Length / 2);
            foreach (ReadOnlyMemory<byte> segment in consumed)
            {
                received.Write(segment.Span);
            }

            pipe.Reader.AdvanceTo(consumed.End, choices.Next(2) == 0 ? result.Buffer.End : consumed.End);
        }

        await sending.InTime();
        Assert.True(received.WrittenSpan.SequenceEqual(bytes));
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    private static async Task<long> ConsumeAsync(PipeReader reader, long count)
    {
        long consumed = 0;
        while (consumed < count)
        {
            ReadResult result = await reader.ReadAsync().InTime();
            consumed += result.Buffer.Length;
            reader.AdvanceTo(result.Buffer.End);
        }

        return consumed;
    }
}
