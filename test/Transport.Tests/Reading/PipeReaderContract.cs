using System.Buffers;
using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>
/// What Kestrel relies on in the reader of a connection. Every case runs on the reader of a <see cref="Pipe"/>, which defines it, and
/// on ours.
/// </summary>
[OneMode]
public abstract partial class PipeReaderContract : IAsyncLifetime
{
    protected abstract PipeReader Reader { get; }

    /// <summary>A second read breaks a pipe; ours only refuses it.</summary>
    protected virtual bool RefusesASecondRead => false;

    protected abstract void Send(byte[] bytes);

    protected abstract void EndInput();

    /// <summary>Begins a read that finds nothing. It waits for bytes when this returns, and is not only about to.</summary>
    protected virtual Task<Task<ReadResult>> BeginReadAsync() => Task.FromResult(Reader.ReadAsync().AsTask());

    /// <summary>Does it call back? Obsolete, and Kestrel does not ask for it: ours does not.</summary>
    protected virtual bool CallsBack => true;

    public virtual ValueTask InitializeAsync() => default;

    public abstract ValueTask DisposeAsync();

    [Fact]
    public async Task A_cancellation_without_a_read_cancels_the_next_read_only()
    {
        Reader.CancelPendingRead();
        Reader.CancelPendingRead();
        Assert.True((await ReadAsync()).IsCanceled);

        Task<ReadResult> read = Reader.ReadAsync().AsTask();
        Assert.False(read.IsCompleted);
        Send([1, 2, 3]);
        ReadResult result = await read.InTime();
        Assert.False(result.IsCanceled);
        AssertBytes([1, 2, 3], result);
    }

    [Fact]
    public async Task A_cancelled_read_still_returns_what_is_buffered()
    {
        Send([1, 2, 3]);
        ReadResult result = await ReadAsync();
        Reader.AdvanceTo(result.Buffer.Start);
        Reader.CancelPendingRead();

        result = await ReadAsync();
        Assert.True(result.IsCanceled);
        AssertBytes([1, 2, 3], result);
    }

    [Fact]
    public async Task A_cancelled_waiting_read_ends_and_may_be_followed_by_another_without_advancing()
    {
        Task<ReadResult> read = Reader.ReadAsync().AsTask();
        Reader.CancelPendingRead();
        ReadResult result = await read.InTime();
        Assert.True(result.IsCanceled);
        Assert.True(result.Buffer.IsEmpty);

        Send([1]);
        result = await ReadAsync();
        Assert.False(result.IsCanceled);
        AssertBytes([1], result);
    }

    [Fact]
    public async Task A_cancelled_result_may_be_advanced()
    {
        Send([1, 2]);
        ReadResult result = await ReadAsync();
        Reader.AdvanceTo(result.Buffer.Start);
        Reader.CancelPendingRead();
        result = await ReadAsync();
        Assert.True(result.IsCanceled);
        Reader.AdvanceTo(result.Buffer.GetPosition(1));
        AssertBytes([2], await ReadAsync());
    }

    [Fact]
    public async Task Reading_again_before_advancing_throws()
    {
        Send([1]);
        ReadResult result = await ReadAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await Reader.ReadAsync());
        Assert.Throws<InvalidOperationException>(() => Reader.TryRead(out _));
        Reader.AdvanceTo(result.Buffer.End);
    }

    [Fact]
    public async Task Two_reads_at_once_throw()
    {
        Task<ReadResult> first = Reader.ReadAsync().AsTask();
        Assert.Throws<InvalidOperationException>(() => Reader.TryRead(out _));
        if (RefusesASecondRead)
        {
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await Reader.ReadAsync());
        }

        Send([1]);
        AssertBytes([1], await first.InTime());
    }

    [Fact]
    public void Advancing_without_a_read_throws() =>
        Assert.Throws<InvalidOperationException>(() => Reader.AdvanceTo(default));

    [Fact]
    public async Task Advancing_twice_throws()
    {
        Send([1]);
        ReadResult result = await ReadAsync();
        Reader.AdvanceTo(result.Buffer.Start);
        Assert.Throws<InvalidOperationException>(() => Reader.AdvanceTo(result.Buffer.Start));
    }

    [Fact]
    public async Task Consuming_more_than_was_examined_throws_and_changes_nothing()
    {
        Send([1, 2, 3]);
        ReadResult result = await ReadAsync();
        Assert.Throws<InvalidOperationException>(() => Reader.AdvanceTo(result.Buffer.End, result.Buffer.Start));
        Reader.AdvanceTo(result.Buffer.Start);
        AssertBytes([1, 2, 3], await ReadAsync());
    }

    [Fact]
    public async Task Examining_nothing_makes_the_next_read_complete_at_once_with_the_same_bytes()
    {
        Send([1, 2, 3]);
        for (int i = 0; i < 3; i++)
        {
            ReadResult result = await ReadAsync();
            AssertBytes([1, 2, 3], result);
            Reader.AdvanceTo(result.Buffer.Start);
        }

        Assert.True(Reader.ReadAsync().AsTask().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Examining_everything_makes_the_next_read_wait_for_more()
    {
        Send([1, 2]);
        ReadResult result = await ReadAsync();
        Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        Assert.False(Reader.TryRead(out _));

        Task<ReadResult> read = Reader.ReadAsync().AsTask();
        Assert.False(read.IsCompleted);
        Send([3]);
        AssertBytes([1, 2, 3], await read.InTime());
    }

    [Fact]
    public async Task What_was_examined_can_be_taken_back()
    {
        // Kestrel peeks at a TLS record this way: everything until it is complete, then nothing.
        Send([1]);
        ReadResult result = await ReadAsync();
        Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        Send([2]);
        result = await ReadAsync();
        AssertBytes([1, 2], result);
        Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        Reader.CancelPendingRead();
        result = await ReadAsync();
        AssertBytes([1, 2], result);
        Reader.AdvanceTo(result.Buffer.End);
        Assert.False(Reader.TryRead(out _));
    }

    [Fact]
    public async Task Consuming_a_part_leaves_the_rest()
    {
        Send([1, 2, 3, 4]);
        ReadResult result = await ReadAsync();
        Reader.AdvanceTo(result.Buffer.GetPosition(2));
        result = await ReadAsync();
        AssertBytes([3, 4], result);
        Reader.AdvanceTo(result.Buffer.GetPosition(1), result.Buffer.End);
        Send([5]);
        AssertBytes([4, 5], await ReadAsync());
    }

    [Fact]
    public async Task Default_positions_advance_an_empty_result()
    {
        Reader.CancelPendingRead();
        await ReadAsync();
        Reader.AdvanceTo(default, default);
        EndInput();
        ReadResult result = await ReadAsync();
        Assert.True(result.IsCompleted);
        Reader.AdvanceTo(default);
        result = await ReadAsync();
        Assert.True(result.IsCompleted);
        Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
    }

    [Fact]
    public void TryRead_says_no_when_there_is_nothing_and_may_be_advanced_nevertheless()
    {
        Assert.False(Reader.TryRead(out ReadResult result));
        Assert.True(result.Buffer.IsEmpty);
        Reader.AdvanceTo(default);
        Send([7]);
        Assert.True(Reader.TryRead(out result));
        AssertBytes([7], result);
        Reader.AdvanceTo(result.Buffer.End);
        Assert.False(Reader.TryRead(out _));
    }

    [Fact]
    public void TryRead_reports_a_cancellation_and_the_end()
    {
        Reader.CancelPendingRead();
        Assert.True(Reader.TryRead(out ReadResult result));
        Assert.True(result.IsCanceled);
        Reader.AdvanceTo(default);
        Assert.False(Reader.TryRead(out _));
        EndInput();
        Assert.True(Reader.TryRead(out result));
        Assert.True(result.IsCompleted);
    }

    protected static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    protected static void AssertBytes(byte[] expected, ReadResult result) =>
        Assert.True(expected.AsSpan().SequenceEqual(result.Buffer.ToArray()), $"{result.Buffer.Length} bytes instead of {expected.Length}, or others.");

    protected Task<ReadResult> ReadAsync() => Reader.ReadAsync().InTime();
}

/// <summary>The reference.</summary>
public sealed class PipeReaderReference : PipeReaderContract
{
    private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 0));

    protected override PipeReader Reader => _pipe.Reader;

    protected override void Send(byte[] bytes) => Assert.True(_pipe.Writer.WriteAsync(bytes).AsTask().IsCompletedSuccessfully);

    protected override void EndInput() => _pipe.Writer.Complete();

    protected override void FailInput(Exception reason) => _pipe.Writer.Complete(reason);

    public override ValueTask DisposeAsync() => default;
}

/// <summary>Ours.</summary>
public sealed class SocketPipeReaderContract : PipeReaderContract
{
    private readonly SocketPipe _pipe = new();

    protected override PipeReader Reader => _pipe.Reader;

    protected override bool RefusesASecondRead => true;

    protected override bool CallsBack => false;

    /// <summary>On a worker, which looks for bytes itself. Any other thread leaves that to one, who then meets what has come meanwhile.</summary>
    protected override async Task<Task<ReadResult>> BeginReadAsync()
    {
        Task<ReadResult>? read = null;
        await _pipe.RunOnWorker(() =>
        {
            read = Reader.ReadAsync().AsTask();
            return Task.CompletedTask;
        }).InTime();
        return read!;
    }

    protected override void Send(byte[] bytes) => _pipe.Send(bytes);

    protected override void EndInput() => _pipe.Peer.Shutdown(System.Net.Sockets.SocketShutdown.Send);

    protected override void FailInput(Exception reason) => _pipe.Abort(reason);

    public override ValueTask DisposeAsync() => _pipe.DisposeAsync();
}
