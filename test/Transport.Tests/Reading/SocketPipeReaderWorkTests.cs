using System.Buffers;
using System.IO.Pipelines;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Reading;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>Where reads go on, how much they receive, and what they hold.</summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class SocketPipeReaderWorkTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_read_from_elsewhere_goes_on_on_a_worker(bool dataFirst)
    {
        await using var pipe = new SocketPipe(workers: 1);
        bool onWorker = false;
        await Task.Run(async () =>
        {
            if (dataFirst)
            {
                pipe.Send([1]);
            }

            ValueTask<ReadResult> read = pipe.Reader.ReadAsync();
            if (!dataFirst)
            {
                pipe.Send([1]);
            }

            // The worker is quicker than the awaiter, which is what takes the read to where it was received.
            Assert.True(SpinWait.SpinUntil(() => pipe.Pool.RentedBlocks != 0, Patience.Limit));
            pipe.ParkedAsync().GetAwaiter().GetResult();
            await read;
            onWorker = pipe.OnWorker;
        }).InTime();
        Assert.True(onWorker);
    }

    /// <summary>Kestrel begins each connection on the thread pool, mostly before the request has come.</summary>
    [Fact]
    public async Task The_first_read_from_elsewhere_waits_without_a_worker_and_without_asking_the_kernel()
    {
        await using var pipe = new SocketPipe(workers: 1);
        await pipe.ParkedAsync();
        long turns = pipe.Turns;
        ValueTask<ReadResult> read = pipe.Reader.ReadAsync();
        Assert.Equal((turns, 0), (pipe.Turns, pipe.SystemCalls.Receives));
        pipe.Send([1]);
        ReadResult result = await read.InTime();
        Assert.Equal((1, 1), (result.Buffer.Length, pipe.SystemCalls.Receives));
        pipe.Reader.AdvanceTo(result.Buffer.End);
    }

    [Fact]
    public Task A_read_that_another_worker_answers_first_goes_on_in_a_turn() => Undisturbed.UsuallyAsync(async () =>
    {
        await using var pipe = new SocketPipe(workers: 2);
        bool parked = false;
        bool inTurn = false;
        Task app = pipe.RunOnWorker(async () =>
        {
            ReadResult result = await pipe.Reader.ReadAsync();
            parked = pipe.Reader.IsTurnOfCurrentThread;
            if (!parked)
            {
                // The byte was there before the read had parked.
                return;
            }

            pipe.Reader.AdvanceTo(result.Buffer.End);
            ValueTask<ReadResult> read = pipe.Reader.ReadAsync();
            pipe.Send([2]);

            // The other worker is quicker than the awaiter, and done with its turn.
            Assert.True(SpinWait.SpinUntil(() => !pipe.Reader.IsTurnOfCurrentThread, Patience.Limit));
            await read;
            inTurn = pipe.Reader.IsTurnOfCurrentThread;
        });
        Assert.True(SpinWait.SpinUntil(() => pipe.SystemCalls.Receives != 0, Patience.Limit));
        await Task.Delay(10);
        pipe.Send([1]);
        await app.InTime();
        Assert.Equal(parked, inTurn);
        return parked;
    });

    [Fact]
    public async Task Bytes_read_ahead_are_delivered_on_a_worker_too()
    {
        await using var pipe = new SocketPipe();
        pipe.Send([1]);
        pipe.ShutdownPeer();
        await pipe.Owner.InputEnded.InTime();
        bool onWorker = false;
        await Task.Run(async () =>
        {
            await pipe.Reader.ReadAsync();
            onWorker = pipe.OnWorker;
        }).InTime();
        Assert.True(onWorker);
    }

    [Fact]
    public async Task A_read_from_elsewhere_can_be_polled()
    {
        await using var pipe = new SocketPipe();
        pipe.Send([1]);
        Task<ReadResult> Poll()
        {
            ValueTask<ReadResult> read = pipe.Reader.ReadAsync();
            Assert.True(SpinWait.SpinUntil(() => read.IsCompleted, Patience.Limit));
            return Task.FromResult(read.Result);
        }

        ReadResult result = await Task.Run(Poll).InTime();
        Assert.Equal(1, result.Buffer.Length);
    }

    [Fact]
    public async Task A_read_on_a_worker_completes_at_once_when_there_are_bytes()
    {
        await using var pipe = new SocketPipe();
        pipe.Send([1]);
        await pipe.RunOnWorker(() =>
        {
            Assert.True(pipe.Reader.ReadAsync().AsTask().IsCompletedSuccessfully);
            return Task.CompletedTask;
        }).InTime();
    }

    [Fact]
    public async Task An_idle_connection_holds_no_block_and_a_short_receive_is_not_repeated()
    {
        const int Rounds = 100;
        await using var pipe = new SocketPipe(workers: 1);
        Task app = pipe.RunOnWorker(async () =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                ReadResult result = await pipe.Reader.ReadAsync();
                pipe.Reader.AdvanceTo(result.Buffer.End);
                await pipe.Writer.WriteAsync(new byte[1]);
            }

            await pipe.Reader.ReadAsync();
        });
        for (int i = 0; i < Rounds; i++)
        {
            pipe.Send([1]);
            pipe.ReceiveExactly(1);
        }

        await pipe.ParkedAsync();
        Assert.Equal(0, pipe.Pool.RentedBlocks);

        // One probe at the beginning, and perhaps one for the edge that registration caused.
        Assert.InRange(pipe.SystemCalls.Receives, Rounds, Rounds + 2);
        pipe.Reader.CancelPendingRead();
        await app.InTime();
    }

    [Fact]
    public async Task Receives_grow_with_what_comes_and_shrink_again()
    {
        await using var pipe = new SocketPipe(workers: 1);
        await pipe.RunOnWorker(async () =>
        {
            pipe.Send(new byte[150_000]);
            await ConsumeAsync(150_000);
            Assert.Equal(ReceiveBuffer.MaxBlocks * ReceiveBuffer.PreferredBlockSize, pipe.SystemCalls.LargestReceive);
            for (int i = 0; i < 5; i++)
            {
                pipe.Send([1]);
                await ConsumeAsync(1);
            }

            long rents = pipe.Pool.TotalRents;
            pipe.Send([1]);
            await ConsumeAsync(1);
            Assert.Equal(1, pipe.Pool.TotalRents - rents);
        }).InTime();

        async Task ConsumeAsync(long count)
        {
            while (count > 0)
            {
                ReadResult result = await pipe.Reader.ReadAsync();
                count -= result.Buffer.Length;
                pipe.Reader.AdvanceTo(result.Buffer.End);
            }
        }
    }

    [Fact]
    public async Task The_limit_bounds_receives_but_never_stops_a_reader_that_has_examined_everything()
    {
        await using var pipe = new SocketPipe(maxReadBufferSize: 10_000);
        pipe.Send(new byte[100_000]);
        long length = 0;
        while (length < 100_000)
        {
            ReadResult result = await pipe.Reader.ReadAsync().InTime();
            Assert.True(result.Buffer.Length > length);
            length = result.Buffer.Length;
            pipe.Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }

        Assert.InRange(pipe.SystemCalls.LargestReceive, 4096, 10_000);
    }

    [Fact]
    public async Task Wakeups_for_nothing_do_nothing()
    {
        await using var pipe = new SocketPipe();
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        for (int i = 0; i < 100; i++)
        {
            pipe.Socket.WakeReader();
            Thread.Yield();
        }

        Assert.False(read.IsCompleted);
        pipe.Send([1]);
        Assert.Equal(1, (await read.InTime()).Buffer.Length);
    }

    [Fact]
    public Task A_connection_that_always_has_bytes_lets_other_turns_run() => Undisturbed.UsuallyAsync(async () =>
    {
        const int Sent = 150_000;
        await using var pipe = new SocketPipe(maxReadBufferSize: 1, workers: 1);
        pipe.Send(new byte[Sent]);
        bool otherRan = false;
        int readBeforeOther = 0;
        Task? other = null;
        await pipe.RunOnWorker(async () =>
        {
            other = pipe.RunOnWorker(() =>
            {
                otherRan = true;
                return Task.CompletedTask;
            });
            for (int read = 0; read < Sent;)
            {
                ReadResult result = await pipe.Reader.ReadAsync();
                read += (int)result.Buffer.Length;
                pipe.Reader.AdvanceTo(result.Buffer.End);
                if (!otherRan)
                {
                    readBeforeOther = read;
                }
            }
        }).InTime();
        await other!.InTime();
        Assert.InRange(readBeforeOther, 0, Sent - 1);
        return readBeforeOther >= 4096;
    });

    /// <summary>
    /// Reads that find bytes at once, in a turn that is not the reader's, as of a handler that has come back to a worker: a turn's worth of them,
    /// and then the rest waits behind what is queued.
    /// </summary>
    [Fact]
    public Task Pipelined_requests_let_other_turns_run_outside_the_readers_own_turn_too() => Undisturbed.UsuallyAsync(async () =>
    {
        const int Requests = 200;
        await using var pipe = new SocketPipe(workers: 1);
        pipe.Send(new byte[Requests]);
        int read = 0;
        int readBeforeOther = 0;
        Task? other = null;
        await pipe.RunOnWorker(async () =>
        {
            other = pipe.RunOnWorker(() =>
            {
                readBeforeOther = read;
                return Task.CompletedTask;
            });
            for (; read < Requests; read++)
            {
                ReadResult result = await pipe.Reader.ReadAsync();
                pipe.Reader.AdvanceTo(result.Buffer.GetPosition(1));
            }
        }).InTime();
        await other!.InTime();
        return readBeforeOther == 64;
    });

    [Fact]
    public async Task A_pool_that_fails_ends_the_read_and_is_reported()
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task<ReadResult> read = pipe.Reader.ReadAsync().AsTask();
        await pipe.ParkedAsync();
        pipe.Pool.Failure = new InsufficientMemoryException();
        pipe.Send([1]);
        await Assert.ThrowsAsync<InsufficientMemoryException>(() => read.InTime());
        Assert.IsType<InsufficientMemoryException>(pipe.Owner.Unexpected);
        pipe.Owner.Unexpected = null;
    }
}
