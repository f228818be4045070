using System.IO.Pipelines;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>Reads whose end comes from another thread, at any moment.</summary>
public abstract partial class PipeReaderContract
{
    [Fact]
    public async Task A_token_source_that_is_reset_is_used_for_many_reads()
    {
        // TLS handshakes take theirs from a pool.
        using var source = new CancellationTokenSource();
        for (int i = 0; i < 100; i++)
        {
            Task<ReadResult> read = Reader.ReadAsync(source.Token).AsTask();
            Send([(byte)i]);
            ReadResult result = await read.InTime();
            AssertBytes([(byte)i], result);
            Reader.AdvanceTo(result.Buffer.End);
            Assert.True(source.TryReset());
        }

        Task<ReadResult> last = Reader.ReadAsync(source.Token).AsTask();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => last.InTime());
    }

    [Fact]
    public async Task Bytes_that_come_while_the_read_is_being_awaited_end_it()
    {
        for (int i = 0; i < 500; i++)
        {
            byte value = (byte)i;
            Task sending = Task.Run(() => Send([value]));

            // Awaited as it is: registering the awaiter races with the bytes.
            ReadResult result = await Reader.ReadAsync();
            AssertBytes([value], result);
            Reader.AdvanceTo(result.Buffer.End);
            await sending.InTime();
        }
    }

    [Fact]
    public async Task Cancellations_that_come_at_any_moment_are_each_reported_and_lose_nothing()
    {
        byte expected = 0;
        for (int i = 0; i < 300; i++)
        {
            byte value = (byte)i;
            Task disturbing = Task.Run(() =>
            {
                Reader.CancelPendingRead();
                Send([value]);
            });
            bool canceled = false;
            bool received = false;
            while (!canceled || !received)
            {
                ReadResult result = await ReadAsync();
                canceled |= result.IsCanceled;
                if (!result.Buffer.IsEmpty)
                {
                    AssertBytes([expected++], result);
                    received = true;
                }

                Reader.AdvanceTo(result.Buffer.End);
            }

            await disturbing.InTime();
            Assert.False(Reader.TryRead(out _));
        }
    }

    [Fact]
    public async Task The_one_who_reads_keeps_his_execution_context_and_gets_nobody_elses()
    {
        var local = new AsyncLocal<string> { Value = "sender" };
        Task<string> reading;
        using (ExecutionContext.SuppressFlow())
        {
            reading = Task.Run(async () =>
            {
                Assert.Null(local.Value);
                local.Value = "reader";
                ReadResult result = await Reader.ReadAsync();
                Reader.AdvanceTo(result.Buffer.End);
                string? first = local.Value;
                result = await Reader.ReadAsync();
                Reader.AdvanceTo(result.Buffer.End);
                return first == local.Value ? first ?? "none" : "changed";
            });
        }

        Send([1]);
        Send([2]);
        EndInput();
        Assert.Equal("reader", await reading.InTime());
        Assert.Equal("sender", local.Value);
    }

    /// <summary>HTTP/2 completes its reader while others may still be in a read.</summary>
    [Fact]
    public async Task A_completion_by_another_thread_leaves_a_waiting_read_to_the_end_of_the_input_and_lets_no_byte_through()
    {
        Task<ReadResult> read = await BeginReadAsync();

        await Task.Run(() => Reader.Complete()).InTime();
        Assert.False(read.IsCompleted);
        Send([1, 2, 3]);
        EndInput();

        ReadResult result = await read.InTime();
        Assert.True(result.IsCompleted);
        Assert.True(result.Buffer.IsEmpty);
        Assert.Throws<InvalidOperationException>(() => Reader.TryRead(out _));
        Reader.Complete();
    }

    /// <summary>In this order HTTP/2 does both when it is torn down.</summary>
    [Fact]
    public async Task A_cancellation_after_the_completion_ends_a_read_that_still_waits()
    {
        Task<ReadResult> read = Reader.ReadAsync().AsTask();

        await Task.Run(() =>
        {
            Reader.Complete();
            Reader.CancelPendingRead();
        }).InTime();

        ReadResult result = await read.InTime();
        Assert.True(result.IsCanceled || result.IsCompleted);
        Assert.True(result.Buffer.IsEmpty);
        Assert.Throws<InvalidOperationException>(() => Reader.TryRead(out _));
    }

    [Fact]
    public async Task Completions_that_come_at_any_moment_of_a_read_let_it_end()
    {
        Task<ReadResult> reading;
        using (var together = new Barrier(2))
        {
            reading = Task.Run(async () =>
            {
                together.SignalAndWait();
                return await Reader.ReadAsync();
            });
            together.SignalAndWait();
            Reader.Complete();
        }

        EndInput();
        try
        {
            ReadResult result = await reading.InTime();
            Assert.True(result.IsCompleted);
            Assert.True(result.Buffer.IsEmpty);
        }
        catch (InvalidOperationException)
        {
            // The completion came before it.
        }

        Assert.Throws<InvalidOperationException>(() => Reader.TryRead(out _));
    }

    [Fact]
    public async Task A_token_ends_the_read_of_a_stream_which_is_then_disposed_of()
    {
        // A TLS handshake that takes too long.
        using var source = new CancellationTokenSource();
        Stream stream = Reader.AsStream();
        Task<int> read = stream.ReadAsync(new byte[10], source.Token).AsTask();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read.InTime());
        await stream.DisposeAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(ReadAsync);
    }
}
