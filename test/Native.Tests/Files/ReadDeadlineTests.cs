using System.Diagnostics;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Read deadlines: when they must end a read, when they must not, and that no byte is lost over it.</summary>
public sealed class ReadDeadlineTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(20);

    [Fact(Timeout = Waits.Limit)]
    public async Task A_past_deadline_fails_reads_even_when_data_is_there()
    {
        await using PipePair pipe = new();
        await pipe.Write.WriteAsync("kept"u8.ToArray());
        pipe.Read.SetReadDeadline(Moments.Past);
        for (int i = 0; i < 2; i++)
        {
            DeadlineExceededException exception = await AssertTimesOutAsync(pipe.Read);
            Assert.Equal(0, exception.BytesWritten);
            Assert.IsAssignableFrom<TimeoutException>(exception);
        }

        pipe.Read.SetReadDeadline(null);
        Assert.Equal("kept"u8.ToArray(), await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_fails_the_waiting_read_and_those_after_it()
    {
        await using PipePair pipe = new();
        await pipe.Write.WriteAsync("ab"u8.ToArray());
        pipe.Read.SetReadDeadline(Moments.Later);
        Assert.Equal("a"u8.ToArray(), await pipe.Read.ReadSomeAsync(1));
        Assert.Equal("b"u8.ToArray(), await pipe.Read.ReadSomeAsync(1));

        pipe.Read.SetReadDeadline(Moments.In(Soon));
        await AssertTimesOutAsync(pipe.Read);
        await pipe.Write.WriteAsync("c"u8.ToArray());
        await AssertTimesOutAsync(pipe.Read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_past_deadline_releases_a_waiting_read()
    {
        await using PipePair pipe = new();
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        pipe.Read.SetReadDeadline(Moments.Past);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_cleared_deadline_lets_the_next_read_wait()
    {
        await using PipePair pipe = new();
        pipe.Read.SetReadDeadline(Moments.Past);
        await AssertTimesOutAsync(pipe.Read);
        pipe.Read.SetReadDeadline(null);

        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        pipe.Write.Dispose();
        Assert.Empty(await read);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_deadline_that_is_moved_away_does_not_end_a_waiting_read(bool clear)
    {
        TimeSpan taken = TimeSpan.MaxValue;

        // On a busy machine the deadline may pass before it is moved, and rightly so: that attempt shows nothing.
        while (taken >= Soon)
        {
            await using PipePair pipe = new();
            long start = Stopwatch.GetTimestamp();
            pipe.Read.SetReadDeadline(Moments.In(Soon));
            Task<byte[]> read = pipe.Read.ReadSomeAsync();
            pipe.Read.SetReadDeadline(clear ? null : Moments.Later);
            taken = Stopwatch.GetElapsedTime(start);
            if (taken < Soon)
            {
                await Task.Delay(2 * Soon);
                await Waits.AssertPendingAsync(read);
                await pipe.Write.WriteAsync("x"u8.ToArray());
                Assert.Equal("x"u8.ToArray(), await read);
            }
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_that_is_moved_closer_ends_a_waiting_read()
    {
        await using PipePair pipe = new();
        pipe.Read.SetReadDeadline(Moments.Later);
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        pipe.Read.SetReadDeadline(Moments.In(Soon));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_ends_every_queued_read()
    {
        await using PipePair pipe = new();
        Task<byte[]>[] reads = [.. Enumerable.Range(0, 10).Select(_ => pipe.Read.ReadSomeAsync())];
        pipe.Read.SetReadDeadline(Moments.In(Soon));
        foreach (Task<byte[]> read in reads)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task The_ends_of_time_are_deadlines_too()
    {
        await using PipePair pipe = new();
        await pipe.Write.WriteAsync("x"u8.ToArray());
        pipe.Read.SetReadDeadline(DateTimeOffset.MinValue);
        await AssertTimesOutAsync(pipe.Read);

        pipe.Read.SetReadDeadline(DateTimeOffset.MaxValue);
        Assert.Equal("x"u8.ToArray(), await pipe.Read.ReadSomeAsync());
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        pipe.Write.Dispose();
        Assert.Empty(await read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_dies_with_its_file()
    {
        // One runtime of its own: the next file gets the slot of the last one, deadlines and all, if they were not cleared.
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        for (int i = 0; i < 20; i++)
        {
            PipePair before = new(runtime);
            before.Read.SetReadDeadline(Moments.In(Soon));
            before.Write.SetWriteDeadline(Moments.Past);
            await before.DisposeAsync();
        }

        await using PipePair pipe = new(runtime);
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        await Task.Delay(2 * Soon);
        await Waits.AssertPendingAsync(read);
        await pipe.Write.WriteAsync("x"u8.ToArray());
        Assert.Single(await read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Scatter_reads_obey_it_as_well()
    {
        await using PipePair pipe = new();
        pipe.Read.SetReadDeadline(Moments.In(Soon));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pipe.Read.ReadAsync([new byte[1].AsMemory()]).AsTask());
    }

    private static Task<DeadlineExceededException> AssertTimesOutAsync(NetpollFile file) =>
        Assert.ThrowsAsync<DeadlineExceededException>(() => file.ReadSomeAsync());
}
