using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KestrelNetpoll.Native;
using KestrelNetpoll.Transport.Tests.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Deadlines;

public class ReadDeadlineTests : OneConnection
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);

    private IConnectionDeadlineFeature Deadlines => Connection.Features.Get<IConnectionDeadlineFeature>()!;

    [Fact]
    public async Task A_read_that_waits_throws_when_the_deadline_passes_and_so_do_all_until_it_is_moved()
    {
        Task<ReadResult> waiting = Input.ReadAsync().AsTask();
        Deadlines.SetReadDeadline(Soon);

        ConnectionDeadlineExceededException e = await Assert.ThrowsAsync<ConnectionDeadlineExceededException>(() => waiting.InTime());
        Assert.IsType<DeadlineExceededException>(e.InnerException);
        await Client.SendAsync("later");
        await Assert.ThrowsAsync<ConnectionDeadlineExceededException>(() => Input.ReadAsync().InTime());
        Assert.Throws<ConnectionDeadlineExceededException>(() => Input.TryRead(out _));

        Deadlines.SetReadDeadline(Never);
        Assert.Equal("later", await ReadAsync());
    }

    [Fact]
    public async Task One_that_was_set_before_the_read_counts()
    {
        Deadlines.SetDeadline(DateTimeOffset.UtcNow + Soon);

        await Assert.ThrowsAsync<ConnectionDeadlineExceededException>(() => Input.ReadAsync().InTime());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task In_the_past_it_fails_a_read_at_once_even_if_bytes_are_there_and_none_is_lost(bool seen)
    {
        await Client.SendAsync("bytes");
        ReadResult first = await Input.ReadAsync().InTime();
        if (seen)
        {
            Input.AdvanceTo(first.Buffer.Start, first.Buffer.End);
        }
        else
        {
            Input.AdvanceTo(first.Buffer.Start);
        }

        Deadlines.SetReadDeadline(TimeSpan.Zero);
        await Assert.ThrowsAsync<ConnectionDeadlineExceededException>(() => Input.ReadAsync().InTime());
        Deadlines.SetReadDeadline(DateTimeOffset.UtcNow.AddDays(-1));
        await Assert.ThrowsAsync<ConnectionDeadlineExceededException>(() => Input.ReadAsync().InTime());

        Deadlines.SetReadDeadline(null);
        await Client.SendAsync(" and more");
        string read = "";
        while (read.Length < "bytes and more".Length)
        {
            read += await ReadAsync();
        }

        Assert.Equal("bytes and more", read);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_is_moved_or_cleared_in_time_does_not_fire(bool cleared)
    {
        Task<ReadResult> waiting = Input.ReadAsync().AsTask();
        Deadlines.SetReadDeadline(Soon);
        Deadlines.SetReadDeadline(cleared ? Timeout.InfiniteTimeSpan : Never);
        await Task.Delay(Soon * 3);

        await Client.SendAsync("late");

        ReadResult result = await waiting.InTime();
        Assert.Equal("late", Encoding.ASCII.GetString(result.Buffer));
        Input.AdvanceTo(result.Buffer.End);
    }

    [Fact]
    public async Task One_that_is_moved_nearer_fires_at_the_nearer_time()
    {
        Task<ReadResult> waiting = Input.ReadAsync().AsTask();
        Deadlines.SetReadDeadline(Never);
        Deadlines.SetReadDeadline(Soon);

        await Assert.ThrowsAsync<ConnectionDeadlineExceededException>(() => waiting.InTime());
    }

    [Fact]
    public async Task The_end_of_the_connection_outranks_it_and_it_cannot_be_set_any_more()
    {
        Task<ReadResult> waiting = Input.ReadAsync().AsTask();
        Connection.Abort(new("over"));
        Deadlines.SetReadDeadline(TimeSpan.Zero);

        Assert.Equal("over", (await Assert.ThrowsAsync<ConnectionAbortedException>(() => waiting.InTime())).Message);
        await Connection.DisposeAsync().InTime();
        Deadlines.SetDeadline(TimeSpan.Zero);
        Deadlines.SetDeadline(Never);
        await Patience.UntilAsync(
            () => Harness.Factory.Groups.All(static group => group.Poller.Deadlines.Count == 0), "nothing of it is left in the heap");
    }

    [Fact]
    public async Task A_cancelled_read_ends_with_its_cancellation()
    {
        Deadlines.SetReadDeadline(TimeSpan.Zero);
        Input.CancelPendingRead();

        ReadResult result = await Input.ReadAsync().InTime();
        Assert.True(result.IsCanceled);
        Input.AdvanceTo(result.Buffer.End);
        await Assert.ThrowsAsync<ConnectionDeadlineExceededException>(() => Input.ReadAsync().InTime());
    }

    [Fact]
    public async Task Whatever_it_hits_every_byte_comes_once_and_in_order()
    {
        const int Count = 20_000;
        byte[] bytes = new byte[Count];
        new Random(1).NextBytes(bytes);
        Task sending = Task.Run(async () =>
        {
            for (int sent = 0; sent < Count; sent += 100)
            {
                await Client.SendAsync(bytes.AsMemory(sent, 100));
                await Task.Yield();
            }
        });
        int timeouts = 0;
        bool done = false;
        Task moving = Task.Run(async () =>
        {
            var random = new Random(2);
            while (!Volatile.Read(ref done))
            {
                Deadlines.SetReadDeadline(TimeSpan.FromMicroseconds(random.Next(-50, 500)));
                await Task.Yield();
            }
        });

        var received = new ArrayBufferWriter<byte>();

        // A read after the last byte hits one at the latest.
        while (received.WrittenCount < Count || timeouts == 0)
        {
            try
            {
                ReadResult result = await Input.ReadAsync().InTime();
                foreach (ReadOnlyMemory<byte> segment in result.Buffer)
                {
                    received.Write(segment.Span);
                }

                Input.AdvanceTo(result.Buffer.End);
            }
            catch (ConnectionDeadlineExceededException)
            {
                timeouts++;
                await Task.Yield();
            }
        }

        Volatile.Write(ref done, true);
        await Task.WhenAll(sending, moving).InTime();
        Assert.Equal(bytes, received.WrittenSpan);
    }

    private async Task<string> ReadAsync()
    {
        ReadResult result = await Input.ReadAsync().InTime();
        string text = Encoding.ASCII.GetString(result.Buffer);
        Input.AdvanceTo(result.Buffer.End);
        return text;
    }
}
