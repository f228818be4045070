using System.Buffers;
using System.IO.Pipelines;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>Longer streams, tokens, and what the base class makes of a reader.</summary>
public abstract partial class PipeReaderContract
{
    [Fact]
    public async Task Bytes_before_the_end_are_all_read()
    {
        byte[] sent = Bytes(100_000, seed: 1);
        var received = new ArrayBufferWriter<byte>();
        Task sending = Task.Run(() =>
        {
            Send(sent);
            EndInput();
        });
        ReadResult result;
        do
        {
            result = await ReadAsync();
            foreach (ReadOnlyMemory<byte> memory in result.Buffer)
            {
                received.Write(memory.Span);
            }

            Reader.AdvanceTo(result.Buffer.End);
        }
        while (!result.IsCompleted);

        await sending.InTime();
        Assert.True(received.WrittenSpan.SequenceEqual(sent));

        // The end stays the end.
        Assert.True((await ReadAsync()).IsCompleted);
    }

    [Fact]
    public async Task More_than_a_block_can_be_held_and_served_again()
    {
        byte[] sent = Bytes(40_000, seed: 2);
        for (int i = 0; i < sent.Length; i += 1_000)
        {
            Send(sent.AsSpan(i, 1_000).ToArray());
        }

        ReadResult result;
        while (true)
        {
            result = await ReadAsync();
            if (result.Buffer.Length == sent.Length)
            {
                break;
            }

            Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }

        AssertBytes(sent, result);
        Reader.AdvanceTo(result.Buffer.Start);
        AssertBytes(sent, await ReadAsync());
    }

    [Fact]
    public async Task Bytes_are_consumed_in_pieces_of_any_size()
    {
        byte[] sent = Bytes(60_000, seed: 3);
        Task sending = Task.Run(() => Send(sent));
        var random = new Random(4);
        int position = 0;
        while (position < sent.Length)
        {
            ReadResult result = await ReadAsync();
            long length = result.Buffer.Length;
            AssertBytes(sent[position..(position + (int)length)], result);
            int consumed = random.Next((int)length + 1);
            Reader.AdvanceTo(result.Buffer.GetPosition(consumed), random.Next(2) == 0 ? result.Buffer.End : result.Buffer.GetPosition(consumed));
            position += consumed;
            if (position + (length - consumed) == sent.Length && consumed != length)
            {
                // Nothing more comes: what is left must be served without waiting.
                Reader.CancelPendingRead();
            }
        }

        await sending.InTime();
    }

    [Fact]
    public async Task A_cancelled_token_fails_the_read_before_it_begins()
    {
        var token = new CancellationToken(canceled: true);
        Send([1]);
        var e = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Reader.ReadAsync(token));
        Assert.Equal(token, e.CancellationToken);
        AssertBytes([1], await ReadAsync());
    }

    [Fact]
    public async Task A_token_ends_the_read_that_waits_and_the_reader_stays_usable()
    {
        using var source = new CancellationTokenSource();
        Task<ReadResult> read = Reader.ReadAsync(source.Token).AsTask();
        Assert.False(read.IsCompleted);
        await source.CancelAsync();
        var e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read.InTime());
        Assert.Equal(source.Token, e.CancellationToken);

        Send([1]);
        AssertBytes([1], await ReadAsync());
    }

    [Fact]
    public async Task A_token_is_forgotten_when_its_read_has_ended()
    {
        using var source = new CancellationTokenSource();
        Task<ReadResult> read = Reader.ReadAsync(source.Token).AsTask();
        Send([1]);
        ReadResult result = await read.InTime();
        Reader.AdvanceTo(result.Buffer.End);
        read = Reader.ReadAsync().AsTask();
        await source.CancelAsync();
        Assert.False(read.IsCompleted);
        Send([2]);
        AssertBytes([2], await read.InTime());
    }

    [Fact]
    public async Task Nothing_but_silence_and_refusal_after_Complete()
    {
        Send([1]);
        ReadResult result = await ReadAsync();
        Reader.Complete();
        Reader.Complete();
        await Reader.CompleteAsync(new InvalidDataException());
        Reader.CancelPendingRead();
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await Reader.ReadAsync());
        Assert.Throws<InvalidOperationException>(() => Reader.TryRead(out _));
        Assert.Throws<InvalidOperationException>(() => Reader.AdvanceTo(result.Buffer.End));
    }

    [Fact]
    public async Task Works_as_a_stream_and_with_zero_byte_reads()
    {
        Stream stream = Reader.AsStream(leaveOpen: true);
        Task<int> zero = stream.ReadAsync(Memory<byte>.Empty).AsTask();
        Send([1, 2, 3]);
        Assert.Equal(0, await zero.InTime());
        byte[] buffer = new byte[2];
        Assert.Equal(2, await stream.ReadAsync(buffer).InTime());
        Assert.Equal([1, 2], buffer);
        Assert.Equal(1, await stream.ReadAsync(buffer).InTime());
        EndInput();
        Assert.Equal(0, await stream.ReadAsync(buffer).InTime());
    }

    [Fact]
    public async Task Works_with_ReadAtLeast_and_CopyTo()
    {
        byte[] sent = Bytes(20_000, seed: 5);
        Task<ReadResult> read = Reader.ReadAtLeastAsync(15_000).AsTask();
        Send(sent[..10_000]);
        Send(sent[10_000..]);
        ReadResult result = await read.InTime();
        Assert.True(result.Buffer.Length >= 15_000);
        Reader.AdvanceTo(result.Buffer.GetPosition(5_000));

        EndInput();
        using var copy = new MemoryStream();
        await Reader.CopyToAsync(copy).InTime();
        Assert.True(copy.ToArray().AsSpan().SequenceEqual(sent.AsSpan(5_000)));
    }
}
