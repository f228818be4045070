using System.Buffers;
using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>
/// What Kestrel relies on in the writer of a connection. Every case runs on the writer of a <see cref="Pipe"/>, which defines it, and
/// on ours.
/// </summary>
[OneMode]
public abstract partial class PipeWriterContract : IAsyncLifetime
{
    // A flush waits from here on, however much the kernel takes first.
    private const int Limit = 10_000;

    protected abstract PipeWriter Writer { get; }

    protected abstract byte[] ReceiveExactly(int count);

    protected abstract void DisconnectPeer();

    /// <summary>Does a flush that has not completed wait until the peer has taken something?</summary>
    protected abstract bool WaitsForPeer { get; }

    /// <summary>Does it call back? Obsolete, and Kestrel does not ask for it: ours does not.</summary>
    protected virtual bool CallsBack => true;

    protected abstract void Create(int maxWriteBufferSize);

    public ValueTask InitializeAsync()
    {
        Create(Limit);
        return default;
    }

    public abstract ValueTask DisposeAsync();

    [Fact]
    public async Task Asking_again_without_advancing_gives_the_same_memory()
    {
        Writer.GetMemory(100).Span[0] = 1;
        Writer.GetSpan()[1] = 2;
        Writer.GetSpan(3)[2] = 3;
        Span<byte> span = Writer.GetSpan();
        Assert.Equal([1, 2, 3], span[..3].ToArray());
        Writer.Advance(3);
        Writer.GetMemory().Span[0] = 4;
        Assert.Equal(4, Writer.GetSpan()[0]);
        Writer.Advance(1);
        await FlushAsync();
        Assert.Equal([1, 2, 3, 4], ReceiveExactly(4));
    }

    [Fact]
    public async Task Memory_can_be_advanced_over_several_times()
    {
        // aspnetcore issue 68148: the HTTP/1 output gets a span once and advances twice.
        Memory<byte> memory = Writer.GetMemory(1_000);
        memory.Span[..1_000].Fill(5);
        Writer.Advance(400);
        Writer.Advance(600);
        Assert.Equal(1_000, Writer.UnflushedBytes);
        await FlushAsync();
        Assert.All(ReceiveExactly(1_000), static b => Assert.Equal(5, b));
    }

    [Fact]
    public async Task Memory_is_never_empty_and_as_large_as_asked_for()
    {
        int written = 0;
        foreach (int hint in (int[])[0, 1, 2_000, 4_096, 4_097, 0, 100_000, 1])
        {
            Span<byte> span = Writer.GetSpan(hint);
            Assert.True(span.Length >= Math.Max(hint, 1));
            span.Fill((byte)hint);
            Writer.Advance(span.Length);
            written += span.Length;
        }

        Task<FlushResult> flush = FlushAsync();
        byte[] received = ReceiveExactly(written);
        Assert.Equal(0, received[0]);
        Assert.Equal(1, received[^1]);
        Assert.False((await flush).IsCompleted);
    }

    [Fact]
    public void Impossible_sizes_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Writer.GetMemory(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Writer.GetSpan(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Writer.Advance(1));
        int length = Writer.GetMemory().Length;
        Assert.Throws<ArgumentOutOfRangeException>(() => Writer.Advance(length + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Writer.Advance(-1));
    }

    [Fact]
    public async Task Unflushed_bytes_are_counted()
    {
        Assert.True(Writer.CanGetUnflushedBytes);
        Assert.Equal(0, Writer.UnflushedBytes);
        Write(10);
        Write(20);
        Assert.Equal(30, Writer.UnflushedBytes);
        await FlushAsync();
        Assert.Equal(0, Writer.UnflushedBytes);
        await Writer.WriteAsync(new byte[5]);
        Assert.Equal(0, Writer.UnflushedBytes);
        ReceiveExactly(35);
    }

    [Fact]
    public async Task Written_and_copied_bytes_keep_their_order()
    {
        byte[] large = new byte[3_000];
        large.AsSpan().Fill(2);
        Write(1, value: 1);
        await Writer.WriteAsync(large).InTime();
        await Writer.WriteAsync(large.AsMemory(0, 1)).InTime();
        Write(1, value: 3);
        await FlushAsync();
        byte[] received = ReceiveExactly(3_003);
        Assert.Equal(1, received[0]);
        Assert.Equal(3_001, received.Count(static b => b == 2));
        Assert.Equal(3, received[^1]);
    }

    [Fact]
    public async Task Flushing_and_writing_nothing_does_nothing()
    {
        FlushResult result = await FlushAsync();
        Assert.False(result.IsCompleted || result.IsCanceled);
        result = await Writer.WriteAsync(default);
        Assert.False(result.IsCompleted || result.IsCanceled);
        Writer.GetMemory();
        Writer.Advance(0);
        await FlushAsync();
    }

    [Fact]
    public async Task A_cancelled_token_fails_the_flush_before_anything_is_committed()
    {
        var token = new CancellationToken(canceled: true);
        Write(3);
        var e = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Writer.FlushAsync(token));
        Assert.Equal(token, e.CancellationToken);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Writer.WriteAsync(new byte[1], token));
        Assert.Equal(3, Writer.UnflushedBytes);
    }

    [Fact]
    public async Task Flushing_to_a_peer_that_is_gone_says_so_and_drops_the_bytes()
    {
        DisconnectPeer();
        Write(10);
        FlushResult result = await FlushAsync();
        if (!result.IsCompleted)
        {
            // It may take one send to find out.
            Write(10);
            result = await FlushAsync();
        }

        Assert.True(result.IsCompleted);
        Assert.Equal(0, Writer.UnflushedBytes);
        Write(10);
        Assert.True((await FlushAsync()).IsCompleted);
        Assert.Equal(0, Writer.UnflushedBytes);
        Assert.True((await Writer.WriteAsync(new byte[100_000]).InTime()).IsCompleted);
    }

    [Fact]
    public async Task A_peer_that_goes_ends_the_flush_that_waits()
    {
        (Task<FlushResult> flush, _) = await WriteUntilAFlushWaitsAsync();
        DisconnectPeer();
        Assert.True((await flush.InTime()).IsCompleted);
    }

    [Fact]
    public async Task After_Complete_flushing_is_harmless_and_writing_is_refused()
    {
        Write(3);
        Writer.Complete();
        Writer.Complete();
        await Writer.CompleteAsync(new InvalidDataException());
        Assert.Equal(3, ReceiveExactly(3).Length);
        await Writer.FlushAsync().InTime();
        Writer.CancelPendingFlush();
        Assert.Throws<InvalidOperationException>(() => Writer.GetMemory());
        Assert.Throws<InvalidOperationException>(() => Writer.GetSpan());
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await Writer.WriteAsync(new byte[1]));
    }

    [Fact]
    public async Task Works_as_a_stream()
    {
        await using (Stream stream = Writer.AsStream())
        {
            await stream.WriteAsync(new byte[] { 1, 2 }).InTime();
            stream.WriteByte(3);
            await stream.FlushAsync().InTime();
        }

        Assert.Equal([1, 2, 3], ReceiveExactly(3));
    }

    private protected void Write(int count, byte value = 0)
    {
        Writer.GetSpan(count)[..count].Fill(value);
        Writer.Advance(count);
    }

    private Task<FlushResult> FlushAsync() => Writer.FlushAsync().InTime();
}

/// <summary>The reference.</summary>
public sealed class PipeWriterReference : PipeWriterContract
{
    private Pipe? _pipe;

    protected override PipeWriter Writer => _pipe!.Writer;

    protected override void Create(int maxWriteBufferSize) =>
        _pipe = new Pipe(new PipeOptions(pauseWriterThreshold: maxWriteBufferSize, resumeWriterThreshold: Math.Max(maxWriteBufferSize / 2, Math.Min(maxWriteBufferSize, 1))));

    protected override byte[] ReceiveExactly(int count)
    {
        byte[] bytes = new byte[count];
        for (int received = 0; received < count;)
        {
            Assert.True(_pipe!.Reader.TryRead(out ReadResult result));
            ReadOnlySequence<byte> piece = result.Buffer.Slice(0, Math.Min(result.Buffer.Length, count - received));
            piece.CopyTo(bytes.AsSpan(received));
            received += (int)piece.Length;
            _pipe.Reader.AdvanceTo(piece.End);
        }

        return bytes;
    }

    protected override bool AnythingToReceive
    {
        get
        {
            bool any = _pipe!.Reader.TryRead(out ReadResult result);
            if (any)
            {
                _pipe.Reader.AdvanceTo(result.Buffer.Start);
            }

            return any;
        }
    }

    protected override void DisconnectPeer() => _pipe!.Reader.Complete();

    protected override bool WaitsForPeer => true;

    public override ValueTask DisposeAsync() => default;
}

/// <summary>Ours.</summary>
public sealed class SocketPipeWriterContract : PipeWriterContract
{
    private SocketPipe? _pipe;

    protected override bool CallsBack => false;

    protected override PipeWriter Writer => _pipe!.Writer;

    protected override void Create(int maxWriteBufferSize) => _pipe = new SocketPipe(maxWriteBufferSize: maxWriteBufferSize);

    protected override byte[] ReceiveExactly(int count) => _pipe!.ReceiveExactly(count);

    protected override bool AnythingToReceive => _pipe!.Peer.Available != 0;

    protected override void DisconnectPeer() => _pipe!.Peer.Dispose();

    protected override bool WaitsForPeer => WriterFilling.WaitsForPeer(_pipe!);

    public override ValueTask DisposeAsync() => _pipe!.DisposeAsync();
}
