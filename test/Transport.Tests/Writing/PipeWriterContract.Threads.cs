using System.Buffers;
using System.IO.Pipelines;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>What others do meanwhile, and what is built upon a writer.</summary>
public abstract partial class PipeWriterContract
{
    protected abstract bool AnythingToReceive { get; }

    [Fact]
    public async Task Flushing_and_writing_nothing_sends_nothing()
    {
        await FlushAsync();
        await Writer.WriteAsync(default).InTime();
        Writer.GetMemory(10);
        await FlushAsync();
        Writer.Advance(0);
        await FlushAsync();
        Assert.False(AnythingToReceive);
        Write(1, value: 7);
        Assert.False(AnythingToReceive);
        await FlushAsync();
        Assert.Equal([7], ReceiveExactly(1));
    }

    [Fact]
    public async Task The_extension_that_copies_is_followed_by_a_flush()
    {
        byte[] bytes = Numbered(9_000);
        Writer.Write(bytes);
        Assert.Equal(bytes.Length, Writer.UnflushedBytes);
        Assert.False(AnythingToReceive);
        await FlushAsync();
        AssertSame(bytes, ReceiveExactly(bytes.Length));
    }

    [Fact]
    public async Task A_flush_with_a_cancelled_token_is_made_up_for_by_the_next_one()
    {
        Write(3, value: 1);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Writer.FlushAsync(new CancellationToken(canceled: true)));
        Assert.False(AnythingToReceive);
        await FlushAsync();
        Assert.Equal([1, 1, 1], ReceiveExactly(3));
    }

    [Fact]
    public async Task Cancellations_that_come_at_any_moment_are_each_reported_once()
    {
        for (int i = 0; i < 300; i++)
        {
            byte value = (byte)i;
            Task canceling = Task.Run(Writer.CancelPendingFlush);
            Write(1, value);
            bool canceled = (await FlushAsync()).IsCanceled;
            await canceling.InTime();
            Assert.Equal(!canceled, (await FlushAsync()).IsCanceled);
            Assert.Equal([value], ReceiveExactly(1));
        }
    }

    [Fact]
    public async Task A_token_source_that_is_reset_is_used_for_many_flushes()
    {
        using var source = new CancellationTokenSource();
        for (int i = 0; i < 20; i++)
        {
            (Task<FlushResult> flush, int written) = await WriteUntilAFlushWaitsAsync(source.Token);
            ReceiveExactly(written);
            Assert.False((await flush.InTime()).IsCanceled);
            Assert.True(source.TryReset());
        }
    }

    [Fact]
    public async Task The_one_who_flushes_keeps_his_execution_context()
    {
        var local = new AsyncLocal<string> { Value = "writer" };
        (Task<FlushResult> flush, int written) = await WriteUntilAFlushWaitsAsync();
        Task receiving;
        using (ExecutionContext.SuppressFlow())
        {
            receiving = Task.Run(() =>
            {
                Assert.Null(local.Value);
                ReceiveExactly(written);
            });
        }

        await flush;
        Assert.Equal("writer", local.Value);
        await receiving.InTime();
    }

    [Fact]
    public async Task As_a_stream_it_takes_what_is_written_to_a_peer_that_is_gone()
    {
        // TLS ignores the result of a flush; that the peer is gone shows at the reader.
        Stream stream = Writer.AsStream(leaveOpen: true);
        DisconnectPeer();
        for (int i = 0; i < 3; i++)
        {
            await stream.WriteAsync(new byte[5_000]).InTime();
            await stream.FlushAsync().InTime();
        }

        Assert.Equal(0, Writer.UnflushedBytes);
    }

    [Fact]
    public async Task A_callback_for_the_peers_end_may_be_asked_for_and_disturbs_nothing()
    {
        int called = 0;
#pragma warning disable CS0618 // Obsolete; some still ask for it.
        Writer.OnReaderCompleted((_, _) => Interlocked.Increment(ref called), state: null);
#pragma warning restore CS0618
        Write(2, value: 7);
        Assert.False((await FlushAsync()).IsCompleted);
        Assert.Equal([7, 7], ReceiveExactly(2));
        DisconnectPeer();

        // A socket learns of it by the answer to what is sent first; that may take a moment.
        using CancellationTokenSource patience = new(Patience.Limit);
        do
        {
            patience.Token.ThrowIfCancellationRequested();
            Write(1, value: 8);
        }
        while (!(await FlushAsync()).IsCompleted);

        Writer.Complete();
        if (CallsBack)
        {
            await Patience.UntilAsync(() => Volatile.Read(ref called) != 0, "it has called back");
        }

        Assert.Equal(CallsBack ? 1 : 0, Volatile.Read(ref called));
    }
}
