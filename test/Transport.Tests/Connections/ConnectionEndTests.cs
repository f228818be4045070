using System.IO.Pipelines;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>How a connection ends, by the peer or by an abort: what the peer sees, what the application sees, and what is logged.</summary>
public class ConnectionEndTests : OneConnection
{
    [Fact]
    public async Task The_peers_FIN_ends_the_input_and_fires_ConnectionClosed_on_the_thread_pool()
    {
        Task<bool> closed = WhenClosed();
        Client.ShutdownSend();

        ReadResult result = await Input.ReadAsync().InTime();

        Assert.True(result.IsCompleted);
        Assert.True(await closed.InTime(), "it ran on a thread of the pool");
        LogEntry fin = Assert.Single(Logged(6));
        Assert.Contains(Connection.ConnectionId, fin.Message, StringComparison.Ordinal);

        // The other direction is open still.
        Input.AdvanceTo(result.Buffer.End);
        await Output.WriteAsync("late"u8.ToArray()).InTime();
        Assert.Equal("late"u8.ToArray(), await Client.ReadExactlyAsync(4));
    }

    [Fact]
    public async Task ConnectionClosed_fires_on_FIN_while_nobody_reads()
    {
        Task<bool> closed = WhenClosed();

        // A first read, so that the connection is in use; then the application is busy.
        await Client.SendAsync("x");
        ReadResult result = await Input.ReadAsync().InTime();
        Input.AdvanceTo(result.Buffer.End);
        Client.ShutdownSend();

        Assert.True(await closed.InTime());
    }

    [Fact]
    public async Task The_peers_RST_faults_the_input_and_fires_ConnectionClosed()
    {
        Task<bool> closed = WhenClosed();
        Task<ReadResult> reading = Input.ReadAsync().AsTask();

        Client.Reset();

        await Assert.ThrowsAsync<ConnectionResetException>(() => reading.InTime());
        await closed.InTime();
        Assert.Single(Logged(19));
        Assert.Empty(Harness.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task Abort_with_a_reason_sends_RST_and_a_read_throws_the_reason()
    {
        Task<bool> closed = WhenClosed();
        Task<ReadResult> reading = Input.ReadAsync().AsTask();
        var reason = new ConnectionAbortedException("because");

        Connection.Abort(reason);

        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading.InTime()));
        Assert.Equal(PeerEnd.Reset, (await Client.ReadToEndAsync()).End);
        await closed.InTime();
        Assert.Contains("because", Assert.Single(Logged(8)).Message, StringComparison.Ordinal);
        Assert.Empty(Logged(7));
        Assert.True((await Output.WriteAsync(new byte[1]).InTime()).IsCompleted);
    }

    [Fact]
    public async Task Abort_without_a_reason_sends_FIN()
    {
        Task<bool> closed = WhenClosed();
        Task<ReadResult> reading = Input.ReadAsync().AsTask();

        Connection.Abort(null!);

        await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading.InTime());
        Assert.Equal(PeerEnd.Fin, (await Client.ReadToEndAsync()).End);
        await closed.InTime();
        Assert.Single(Logged(7));
        Assert.Empty(Logged(8));
    }

    [Fact]
    public async Task Abort_without_a_reason_sends_FIN_also_when_request_bytes_are_unread()
    {
        await Client.SendAsync(new byte[100_000]);
        await Output.WriteAsync("bye"u8.ToArray()).InTime();

        Connection.Abort(null!);

        (byte[] bytes, PeerEnd end) = await Client.ReadToEndAsync();
        Assert.Equal("bye"u8.ToArray(), bytes);
        Assert.Equal(PeerEnd.Fin, end);
    }

    [Fact]
    public async Task Abort_without_a_reason_after_the_peers_FIN_leaves_what_came_before_it_readable()
    {
        Task<bool> closed = WhenClosed();
        await Client.SendAsync("hello");
        ReadResult result = await Input.ReadAsync().InTime();
        Input.AdvanceTo(result.Buffer.Start);
        Client.ShutdownSend();
        await closed.InTime();

        // Kestrel does this every time the peer ends.
        Connection.Abort(null!);

        result = await Input.ReadAsync().InTime();
        Assert.Equal("hello"u8.ToArray(), System.Buffers.BuffersExtensions.ToArray(result.Buffer));
        Input.AdvanceTo(result.Buffer.End);
        Assert.True((await Input.ReadAsync().InTime()).IsCompleted);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_peers_end_fires_ConnectionClosed_also_when_the_application_has_completed_its_input(bool reset)
    {
        Task<bool> closed = WhenClosed();
        await Input.CompleteAsync();
        await Client.SendAsync(new byte[20_000]);

        if (reset)
        {
            Client.Reset();
        }
        else
        {
            Client.ShutdownSend();
        }

        await closed.InTime();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_peers_end_fires_ConnectionClosed_also_while_the_application_blocks_its_worker(bool endComesFirst)
    {
        using var busy = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        Task<bool> closed = WhenClosed();
        Task application = BlockAsync();
        await Client.SendAsync("x");
        if (endComesFirst)
        {
            Client.ShutdownSend();
        }

        Assert.True(busy.Wait(Patience.Limit));
        if (!endComesFirst)
        {
            Client.ShutdownSend();
        }

        await closed.InTime();
        release.Set();
        await application.InTime();

        async Task BlockAsync()
        {
            Input.AdvanceTo((await Input.ReadAsync().ConfigureAwait(false)).Buffer.End);
            busy.Set();
            release.Wait(Patience.Limit);
        }
    }

    [Fact]
    public async Task The_input_completed_after_the_peers_end_fires_ConnectionClosed()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { WorkerCount = 1, MaxReadBufferSize = 4096 });
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        connection.ConnectionClosed.Register(closed.SetResult);
        await client.SendAsync(new byte[50_000]);
        client.ShutdownSend();

        // Reading ahead stops at the limit, before the end.
        await Patience.UntilAsync(() => connection.BytesReceived >= 4096, "it has read ahead");
        Assert.False(closed.Task.IsCompleted);
        await connection.Transport.Input.CompleteAsync();

        await closed.Task.InTime();
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task Nothing_is_read_after_bytes_that_a_close_has_thrown_away()
    {
        var kernel = new DiscardingSystemCalls();
        await using TransportHarness harness = await TransportHarness.StartAsync(kernel);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        PipeReader input = connection.Transport.Input;
        await client.SendAsync("before");
        input.AdvanceTo((await input.ReadAsync().InTime()).Buffer.End);

        await client.SendAsync("thrown away");
        Task<ReadResult>? reading = null;
        kernel.AfterNextDiscard = () =>
        {
            client.Socket.Send("after"u8);
            reading = ReadAsync();
        };
        await Patience.UntilAsync(
            () =>
            {
                connection.Abort(null!);
                return reading is not null;
            },
            "the close has thrown bytes away");

        await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading!.InTime());
        await connection.DisposeAsync().InTime();
        client.Dispose();

        async Task<ReadResult> ReadAsync() => await input.ReadAsync();
    }

    /// <summary>As HTTP/2 ends a connection: with a GOAWAY, whose flush may be one of a burst, and an abort behind it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_was_flushed_leaves_before_an_abort(bool reset)
    {
        for (int i = 0; i < 50; i++)
        {
            (NetpollConnection connection, RawClient client) = await Harness.ConnectAsync();
            for (int flush = 0; flush < 50; flush++)
            {
                await connection.Transport.Output.WriteAsync(new byte[100]);
            }

            connection.Abort(reset ? new ConnectionAbortedException() : null!);
            await connection.DisposeAsync().InTime();
            Assert.Equal(50 * 100, connection.BytesSent);
            client.Dispose();
        }
    }

    [Fact]
    public async Task Everybody_gets_the_same_id()
    {
        for (int i = 0; i < 20; i++)
        {
            (NetpollConnection connection, RawClient client) = await Harness.ConnectAsync();
            using var together = new Barrier(4);
            string[] ids = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    together.SignalAndWait(Patience.Limit);
                    return connection.ConnectionId;
                },
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default))).InTime();
            Assert.Single(ids.Distinct());
            await connection.DisposeAsync().InTime();
            client.Dispose();
        }
    }

    /// <summary>Stands in the middle of a close, after a receive of the size that it throws away with.</summary>
    private sealed class DiscardingSystemCalls : SystemCalls
    {
        internal Action? AfterNextDiscard { get; set; }

        protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags)
        {
            SyscallResult result = base.RecvOnce(fd, buffer, flags);
            if (buffer.Length == 8 * 1024 && AfterNextDiscard is { } action)
            {
                AfterNextDiscard = null;
                action();
            }

            return result;
        }
    }
}
