using System.IO.Pipelines;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>Flushes that wait because the peer is slow.</summary>
public abstract partial class PipeWriterContract
{
    [Fact]
    public async Task A_flush_waits_for_a_slow_peer_and_goes_on_below_half_the_limit()
    {
        (Task<FlushResult> flush, int written) = await WriteUntilAFlushWaitsAsync();
        ReceiveExactly(written);
        FlushResult result = await flush.InTime();
        Assert.False(result.IsCompleted || result.IsCanceled);
        await Writer.WriteAsync(new byte[1]).InTime();
        ReceiveExactly(1);
    }

    [Fact]
    public async Task A_limit_of_one_byte_does_not_wait_forever()
    {
        await DisposeAsync();
        Create(1);
        (Task<FlushResult> flush, int written) = await WriteUntilAFlushWaitsAsync();
        ReceiveExactly(written);
        await flush.InTime();
    }

    [Fact]
    public async Task Without_a_limit_no_flush_waits()
    {
        await DisposeAsync();
        Create(0);
        byte[] bytes = new byte[8 * 1024 * 1024];

        // On a thread of its own: it does not keep others waiting for the thread pool.
        Assert.True(await Task.Factory.StartNew(
            () =>
            {
                bool atOnce = Writer.WriteAsync(bytes).AsTask().IsCompletedSuccessfully;
                Write(3_000);
                return atOnce && Writer.FlushAsync().AsTask().IsCompletedSuccessfully;
            },
            TaskCreationOptions.LongRunning));
        await Task.Run(() => ReceiveExactly(bytes.Length + 3_000)).InTime();
    }

    [Fact]
    public async Task A_cancellation_ends_the_flush_that_waits_and_keeps_the_bytes()
    {
        (Task<FlushResult> flush, int written) = await WriteUntilAFlushWaitsAsync();
        Writer.CancelPendingFlush();
        FlushResult result = await flush.InTime();
        Assert.True(result.IsCanceled);
        Assert.False(result.IsCompleted);
        await Task.Run(() => ReceiveExactly(written)).InTime();
        Assert.False((await FlushAsync()).IsCanceled);
    }

    [Fact]
    public async Task A_cancellation_without_a_flush_cancels_the_next_one_only()
    {
        Writer.CancelPendingFlush();
        Writer.CancelPendingFlush();
        Write(3);
        Assert.True((await FlushAsync()).IsCanceled);
        Assert.Equal(3, ReceiveExactly(3).Length);
        Assert.False((await FlushAsync()).IsCanceled);
    }

    [Fact]
    public async Task A_token_ends_the_flush_that_waits_and_the_bytes_still_arrive()
    {
        using var source = new CancellationTokenSource();
        (Task<FlushResult> flush, int written) = await WriteUntilAFlushWaitsAsync(source.Token);
        await source.CancelAsync();
        var e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flush.InTime());
        Assert.Equal(source.Token, e.CancellationToken);

        await Task.Run(() => ReceiveExactly(written)).InTime();
        await Writer.WriteAsync(new byte[1]).InTime();
        ReceiveExactly(1);
    }

    [Fact]
    public async Task A_token_is_forgotten_when_its_flush_has_ended()
    {
        using var source = new CancellationTokenSource();
        (Task<FlushResult> flush, int written) = await WriteUntilAFlushWaitsAsync(source.Token);
        ReceiveExactly(written);
        await flush.InTime();
        (flush, written) = await WriteUntilAFlushWaitsAsync();
        await source.CancelAsync();
        Assert.False(flush.IsCompleted);
        ReceiveExactly(written);
        Assert.False((await flush.InTime()).IsCanceled);
    }

    [Fact]
    public async Task Flushes_that_nobody_awaits_are_tolerated()
    {
        int written = 0;
        Task<FlushResult>? last = null;
        for (int i = 0; i < 200; i++)
        {
            Write(4_000);
            written += 4_000;
            ValueTask<FlushResult> flush = Writer.FlushAsync();
            if (i == 199)
            {
                last = flush.AsTask();
            }
        }

        await Task.Run(() => ReceiveExactly(written)).InTime();
        Assert.False((await last!.InTime()).IsCompleted);
    }

    private async Task<(Task<FlushResult> Flush, int Written)> WriteUntilAFlushWaitsAsync(CancellationToken token = default)
    {
        for (int written = 4_000; ; written += 4_000)
        {
            Write(4_000);
            Task<FlushResult> flush = Writer.FlushAsync(token).AsTask();

            // It may have to wait only for a thread that is sending what was held, or for others that it lets go first.
            await Patience.UntilAsync(() => flush.IsCompleted || WaitsForPeer, "it waits for the peer");
            if (!flush.IsCompleted)
            {
                return (flush, written);
            }

            Assert.False((await flush).IsCompleted);
        }
    }
}
