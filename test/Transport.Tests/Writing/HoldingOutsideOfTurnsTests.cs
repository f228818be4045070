using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using KestrelNetpoll.Transport.Writing;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>
/// Flushes outside of turns: while a read waits, as on an HTTP/2 connection, and while the application has the floor, as after an await.
/// </summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class HoldingOutsideOfTurnsTests
{
    private const int Size = 100;

    // How many sends it takes depends on when the thread pool gets to it: if a core is free for every one of them, each leaves by itself.
    [Fact]
    public Task Those_that_follow_each_other_quickly_leave_together() => Undisturbed.UsuallyAsync(async () =>
    {
        const int Flushes = 4_000;
        await using var pipe = new SocketPipe();
        Task<byte[]> received = Task.Run(() => pipe.ReceiveExactly(Flushes * Size));
        for (int i = 0; i < Flushes; i++)
        {
            await FlushAsync(pipe, (byte)i);
        }

        // In order, and with less than a send for each.
        byte[] bytes = await received.InTime();
        for (int i = 0; i < bytes.Length; i++)
        {
            Assert.Equal((byte)(i / Size), bytes[i]);
        }

        return pipe.SystemCalls.Sends <= Flushes * 9 / 10;
    });

    [Fact]
    public async Task Single_ones_are_sent_at_once()
    {
        await using var pipe = new SocketPipe();
        for (int i = 1; i <= 5; i++)
        {
            await FlushAsync(pipe, 1);
            Assert.Equal(i, pipe.SystemCalls.Sends);
            pipe.ReceiveExactly(Size);
            Thread.Sleep(2);
        }
    }

    /// <summary>A peer that answers quickly makes flushes follow each other quickly, too. There is nothing to gather, nor in flushes without bytes.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Those_that_a_quick_peer_causes_are_sent_at_once(bool flushTwice) => Undisturbed.UsuallyAsync(async () =>
    {
        const int Rounds = 3_000;
        await using var pipe = new SocketPipe();
        int left = 0;
        for (int i = 0; i < Rounds; i++)
        {
            await FlushAsync(pipe, 1);
            left += pipe.Writer.HoldsOutput ? 1 : 0;
            if (flushTwice)
            {
                await pipe.Writer.FlushAsync().InTime();
            }

            pipe.ReceiveExactly(Size);
        }

        return left <= Rounds / 20;
    });

    [Fact]
    public async Task Large_ones_are_sent_at_once()
    {
        await using var pipe = new SocketPipe();
        for (int i = 1; i <= 20; i++)
        {
            await pipe.Writer.WriteAsync(new byte[SocketPipeWriter.MaxHeldBytes]).InTime();
            Assert.False(pipe.Writer.HoldsOutput);
            pipe.ReceiveExactly(SocketPipeWriter.MaxHeldBytes);
        }
    }

    /// <summary>Responses of two pieces each, by an application that has left its turn.</summary>
    [Fact]
    public Task Pieces_of_a_response_leave_with_the_next_read() => Undisturbed.UsuallyAsync(async () =>
    {
        const int Responses = 200;
        await using var pipe = new SocketPipe();
        for (int i = 0; i < Responses; i++)
        {
            pipe.Send("request"u8);
            ReadResult request = await pipe.Reader.ReadAsync().InTime();
            await Task.Run(async () =>
            {
                Assert.False(pipe.OnWorker);
                pipe.Reader.AdvanceTo(request.Buffer.End);
                await FlushAsync(pipe, 1);
                await FlushAsync(pipe, 2);
                Assert.False(pipe.Reader.TryRead(out _));
                pipe.Reader.AdvanceTo(default);
                Assert.False(pipe.Writer.HoldsOutput);
            });
            pipe.ReceiveExactly(2 * Size);
        }

        // The first response teaches that there are two pieces.
        return pipe.SystemCalls.Sends <= Responses * 11 / 10;
    });

    /// <summary>The application does not read: it streams. What it flushes arrives all the same, and nothing more is held.</summary>
    [Fact]
    public async Task What_no_read_follows_is_sent_all_the_same()
    {
        await using var pipe = new SocketPipe();
        pipe.Send("request"u8);
        ReadResult request = await pipe.Reader.ReadAsync().InTime();
        await Task.Run(async () =>
        {
            pipe.Reader.AdvanceTo(request.Buffer.End);
            for (int i = 0; i < 100; i++)
            {
                await FlushAsync(pipe, 1);
                await FlushAsync(pipe, 2);
                await FlushAsync(pipe, 3);
                pipe.ReceiveExactly(3 * Size);
            }
        });
    }

    [Fact]
    public async Task Completing_and_draining_send_what_is_left()
    {
        await using var pipe = new SocketPipe();
        Task<byte[]> received = Task.Run(() => pipe.ReceiveExactly(1_000 * Size));
        for (int i = 0; i < 1_000; i++)
        {
            await FlushAsync(pipe, 1);
        }

        pipe.Writer.Complete();
        await pipe.Writer.DrainAsync().InTime();
        Assert.Equal(1_000 * Size, pipe.Writer.BytesSent);
        await received.InTime();
    }

    [Fact]
    public async Task None_waits_once_the_peer_has_finished()
    {
        await using var pipe = new SocketPipe();
        Assert.True(pipe.Writer.FlushBeforeEnd());
        for (int i = 1; i <= 50; i++)
        {
            await FlushAsync(pipe, 1);
            Assert.Equal(i, pipe.SystemCalls.Sends);
        }

        pipe.ReceiveExactly(50 * Size);
    }

    private static async ValueTask FlushAsync(SocketPipe pipe, byte value)
    {
        pipe.Writer.GetSpan(Size)[..Size].Fill(value);
        pipe.Writer.Advance(Size);
        Assert.False((await pipe.Writer.FlushAsync().InTime()).IsCompleted);
    }
}
