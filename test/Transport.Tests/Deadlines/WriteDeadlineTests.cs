using System.IO.Pipelines;
using KestrelNetpoll.Native;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Deadlines;

public class WriteDeadlineTests : OneConnection
{
    private const int Filling = 20_000_000;

    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);

    private IConnectionDeadlineFeature Deadlines => Connection.Features.Get<IConnectionDeadlineFeature>()!;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_flush_that_waits_for_the_peer_ends_and_so_does_the_connection(bool setBefore)
    {
        if (setBefore)
        {
            Deadlines.SetWriteDeadline(Soon);
        }

        Task<FlushResult> waiting = FillAsync();
        if (!setBefore)
        {
            Deadlines.SetWriteDeadline(DateTimeOffset.UtcNow + Soon);
        }

        Assert.True((await waiting.InTime()).IsCompleted);
        ConnectionAbortedException e = await Assert.ThrowsAsync<ConnectionAbortedException>(() => Input.ReadAsync().InTime());
        Assert.IsType<DeadlineExceededException>(e.InnerException);
        Assert.Equal(PeerEnd.Reset, (await Client.ReadToEndAsync()).End);
        Assert.Single(Logged(8));
        Assert.Empty(Harness.Logs.Above(Microsoft.Extensions.Logging.LogLevel.Information));
    }

    [OneMode]
    [Fact]
    public async Task One_that_passes_while_a_flush_is_sending_ends_it_as_soon_as_it_waits()
    {
        var kernel = new FullKernel();
        await using TransportHarness harness = await TransportHarness.StartAsync(kernel);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;
        kernel.BeforeSend = () => Patience.Until(
            () => harness.Factory.Groups.All(static group => group.Poller.Deadlines.Count == 0), "the deadline has passed");
        connection.Features.Get<IConnectionDeadlineFeature>()!.SetWriteDeadline(Soon);

        Assert.True((await connection.Transport.Output.WriteAsync(new byte[1_000_000]).InTime()).IsCompleted);

        Assert.True(connection.IsClosed);
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public async Task In_the_past_it_ends_a_flush_that_waits_at_once()
    {
        Task<FlushResult> waiting = FillAsync();
        Deadlines.SetDeadline(TimeSpan.FromSeconds(-1));

        Assert.True((await waiting.InTime()).IsCompleted);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_flush_that_begins_after_it_fails_even_if_it_had_not_to_wait(bool flush)
    {
        Deadlines.SetWriteDeadline(TimeSpan.Zero);
        Assert.False(Connection.IsClosed);

        FlushResult result = flush ? await WriteAndFlushAsync() : await Output.WriteAsync(new byte[10]).InTime();

        Assert.True(result.IsCompleted);
        Assert.True(Connection.IsClosed);
        Assert.Equal((0, PeerEnd.Reset), await ReadToEndAsync());
    }

    [OneMode]
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_flush_says_so_also_while_the_owner_is_still_ending_the_connection(bool flush)
    {
        // Whose owner only takes notice.
        await using var pipe = new SocketPipe();
        pipe.Writer.SetDeadline(PollDeadline.Expired);
        pipe.Writer.GetMemory(10);
        pipe.Writer.Advance(10);

        FlushResult result = flush ? await pipe.Writer.FlushAsync().InTime() : await pipe.Writer.WriteAsync(new byte[10]).InTime();

        Assert.True(result.IsCompleted);
        Assert.Equal(1, pipe.Owner.WriteDeadlines);
        pipe.Writer.SetDeadline(PollDeadline.None);
        Assert.True((await pipe.Writer.FlushAsync().InTime()).IsCompleted);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_is_moved_or_cleared_in_time_ends_nothing(bool cleared)
    {
        Task<FlushResult> waiting = FillAsync();
        Deadlines.SetWriteDeadline(Soon);
        Deadlines.SetWriteDeadline(cleared ? Timeout.InfiniteTimeSpan : Never);
        await Task.Delay(Soon * 3);
        Assert.False(waiting.IsCompleted);

        Task<(int Bytes, PeerEnd End)> reading = ReadToEndAsync();
        Assert.False((await waiting.InTime()).IsCompleted);
        await Connection.DisposeAsync().InTime();
        Assert.Equal((Filling, PeerEnd.Fin), await reading.InTime());
    }

    [Fact]
    public async Task Once_it_has_passed_without_harm_it_can_be_moved()
    {
        Deadlines.SetWriteDeadline(TimeSpan.Zero);
        Deadlines.SetWriteDeadline(Never);
        Deadlines.SetWriteDeadline(Soon);
        await Task.Delay(Soon * 3);
        Deadlines.SetWriteDeadline(null);

        Assert.False((await WriteAndFlushAsync()).IsCompleted);
        Assert.Equal(10, (await Client.ReadExactlyAsync(10)).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task It_bounds_how_long_the_last_bytes_are_waited_for(bool setBefore)
    {
        _ = FillAsync();
        if (setBefore)
        {
            Deadlines.SetWriteDeadline(TimeSpan.Zero);
        }

        ValueTask disposing = Connection.DisposeAsync();
        if (!setBefore)
        {
            Assert.False(disposing.IsCompleted);
            Deadlines.SetWriteDeadline(Soon);
        }

        await disposing.InTime();
        Assert.Equal(PeerEnd.Reset, (await ReadToEndAsync()).End);
    }

    [Fact]
    public async Task Nothing_of_it_is_left_when_the_connection_has_ended()
    {
        Deadlines.SetDeadline(Never);
        await Connection.DisposeAsync().InTime();
        Deadlines.SetDeadline(Never);

        await Patience.UntilAsync(
            () => Harness.Factory.Groups.All(static group => group.Poller.Deadlines.Count == 0), "nothing of it is left in the heap");
    }

    [Fact]
    public async Task Moving_it_from_many_threads_neither_loses_it_nor_ends_what_goes_on()
    {
        bool done = false;
        Task[] moving = [.. Enumerable.Range(0, 2).Select(i => Task.Run(async () =>
        {
            var random = new Random(i);
            while (!Volatile.Read(ref done))
            {
                Deadlines.SetWriteDeadline(TimeSpan.FromMilliseconds(random.Next(30_000, 60_000)));
                Deadlines.SetWriteDeadline(random.Next(2) == 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(40_000));
                await Task.Yield();
            }
        }))];
        for (int i = 0; i < 2_000; i++)
        {
            Assert.False((await WriteAndFlushAsync()).IsCompleted);
            await Client.ReadExactlyAsync(10);
        }

        Volatile.Write(ref done, true);
        await Task.WhenAll(moving).InTime();
        Task<FlushResult> waiting = FillAsync();
        Deadlines.SetWriteDeadline(Soon);
        Assert.True((await waiting.InTime()).IsCompleted);
    }

    private async Task<FlushResult> WriteAndFlushAsync()
    {
        Output.GetMemory(10);
        Output.Advance(10);
        return await Output.FlushAsync().InTime();
    }

    // More than the kernel and the writer take: the flush waits for the peer.
    private Task<FlushResult> FillAsync() => Output.WriteAsync(new byte[Filling]).AsTask();

    private async Task<(int Bytes, PeerEnd End)> ReadToEndAsync()
    {
        (byte[] bytes, PeerEnd end) = await Client.ReadToEndAsync();
        return (bytes.Length, end);
    }

    // Has no room for what is sent.
    private sealed class FullKernel : SystemCalls
    {
        internal Action BeforeSend { get; set; } = static () => { };

        protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags) => Refuse();

        protected internal override SyscallResult SendMsgOnce(int fd, ReadOnlySpan<iovec> buffers, int flags) => Refuse();

        private SyscallResult Refuse()
        {
            BeforeSend();
            return SyscallResult.Failure(Errno.EAGAIN);
        }
    }
}
