using System.Diagnostics;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Write deadlines, with what they say about the part that was written.</summary>
public sealed class WriteDeadlineTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(20);

    [Fact(Timeout = Waits.Limit)]
    public async Task A_past_deadline_fails_writes_even_when_there_is_room()
    {
        await using PipePair pipe = new();
        pipe.Write.SetWriteDeadline(Moments.Past);
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(0, (await AssertTimesOutAsync(pipe.Write, 1)).BytesWritten);
        }

        pipe.Write.SetWriteDeadline(null);
        await pipe.Write.WriteAsync("only this"u8.ToArray());
        Assert.Equal("only this"u8.ToArray(), await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_says_how_far_the_write_got()
    {
        await using PipePair pipe = new();
        byte[] data = FileExtensions.Pattern(1_000_000);
        Task<int> write = pipe.Write.WriteAsync(data).AsTask();
        pipe.Write.SetWriteDeadline(Moments.In(Soon));
        DeadlineExceededException exception = await Assert.ThrowsAsync<DeadlineExceededException>(() => write);

        Assert.Equal(pipe.Capacity, exception.BytesWritten);
        Assert.Equal(0, (await AssertTimesOutAsync(pipe.Write, 1)).BytesWritten);

        // The file goes on where it stopped.
        pipe.Write.SetWriteDeadline(null);
        Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync());
        await pipe.Write.WriteAsync(data.AsMemory((int)exception.BytesWritten));
        pipe.Write.Dispose();
        FileExtensions.AssertSame(data, await received);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_past_deadline_releases_a_waiting_write()
    {
        await using PipePair pipe = new();
        pipe.Fill();
        Task<int> write = pipe.Write.WriteAsync(new byte[1]).AsTask();
        await Waits.AssertPendingAsync(write);
        pipe.Write.SetWriteDeadline(Moments.Past);
        Assert.Equal(0, (await Assert.ThrowsAsync<DeadlineExceededException>(() => write)).BytesWritten);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_cleared_deadline_lets_the_next_write_wait()
    {
        await using PipePair pipe = new();
        pipe.Fill();
        pipe.Write.SetWriteDeadline(Moments.Past);
        await AssertTimesOutAsync(pipe.Write, 1);
        pipe.Write.SetWriteDeadline(null);

        Task<int> write = pipe.Write.WriteAsync(new byte[1]).AsTask();
        await Waits.AssertPendingAsync(write);
        pipe.Read.Dispose();
        await Assert.ThrowsAnyAsync<IOException>(() => write);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_deadline_that_is_moved_away_does_not_end_a_waiting_write(bool clear)
    {
        TimeSpan taken = TimeSpan.MaxValue;

        // On a busy machine the deadline may pass before it is moved, and rightly so: that attempt shows nothing.
        while (taken >= Soon)
        {
            await using PipePair pipe = new();
            int filled = pipe.Fill();
            long start = Stopwatch.GetTimestamp();
            pipe.Write.SetWriteDeadline(Moments.In(Soon));
            Task<int> write = pipe.Write.WriteAsync(new byte[1]).AsTask();
            pipe.Write.SetWriteDeadline(clear ? null : Moments.Later);
            taken = Stopwatch.GetElapsedTime(start);
            if (taken < Soon)
            {
                await Task.Delay(2 * Soon);
                await Waits.AssertPendingAsync(write);
                await pipe.Read.ReadExactlyAsync(filled);
                Assert.Equal(1, await write);
            }
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_that_is_moved_closer_ends_a_waiting_write()
    {
        await using PipePair pipe = new();
        pipe.Fill();
        pipe.Write.SetWriteDeadline(Moments.Later);
        Task<int> write = pipe.Write.WriteAsync(new byte[1]).AsTask();
        pipe.Write.SetWriteDeadline(Moments.In(Soon));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => write);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_ends_every_queued_write()
    {
        await using PipePair pipe = new();
        pipe.Fill();
        Task<int>[] writes = [.. Enumerable.Range(0, 10).Select(_ => pipe.Write.WriteAsync(new byte[1]).AsTask())];
        pipe.Write.SetWriteDeadline(Moments.In(Soon));
        foreach (Task<int> write in writes)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(() => write);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Each_direction_has_a_deadline_of_its_own_and_there_is_one_for_both()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("fifo");
        NetpollFile.CreateFifo(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await using var file = NetpollFile.Open(path, FileAccess.ReadWrite);

        file.SetReadDeadline(Moments.Past);
        await file.WriteAsync("x"u8.ToArray());
        await Assert.ThrowsAsync<DeadlineExceededException>(() => file.ReadSomeAsync());

        file.SetReadDeadline(null);
        file.SetWriteDeadline(Moments.Past);
        Assert.Single(await file.ReadSomeAsync());
        await AssertTimesOutAsync(file, 1);

        file.SetDeadline(null);
        await file.WriteAsync("y"u8.ToArray());
        file.SetDeadline(Moments.Past);
        await AssertTimesOutAsync(file, 1);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => file.ReadSomeAsync());

        file.SetDeadline(Moments.Later);
        Assert.Equal("y"u8.ToArray(), await file.ReadSomeAsync());
    }

    private static Task<DeadlineExceededException> AssertTimesOutAsync(NetpollFile file, int length) =>
        Assert.ThrowsAsync<DeadlineExceededException>(() => file.WriteAsync(new byte[length]).AsTask());
}
