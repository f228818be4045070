using System.IO.Pipelines;
using KestrelNetpoll.Transport.Internal;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Connection;

/// <summary>How a connection ends: what the peer sees, what the application sees, what is logged, and that it happens once.</summary>
public class ConnectionEndTests : IAsyncLifetime
{
    private TransportHarness _harness = null!;
    private NetpollConnection _connection = null!;
    private RawClient _client = null!;

    private PipeReader Input => _connection.Transport.Input;

    private PipeWriter Output => _connection.Transport.Output;

    public async ValueTask InitializeAsync()
    {
        _harness = await TransportHarness.StartAsync();
        (_connection, _client) = await _harness.ConnectAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync().InTime();
        _client.Dispose();
        await _harness.Pools.AllReturnedAsync();
        await _harness.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task The_peers_FIN_ends_the_input_and_fires_ConnectionClosed_on_the_thread_pool()
    {
        Task<bool> closed = WhenClosed();
        _client.ShutdownSend();

        ReadResult result = await Input.ReadAsync().InTime();

        Assert.True(result.IsCompleted);
        Assert.True(await closed.InTime(), "it ran on a thread of the pool");
        LogEntry fin = Assert.Single(Logged(6));
        Assert.Contains(_connection.ConnectionId, fin.Message, StringComparison.Ordinal);

        // The other direction is open still.
        Input.AdvanceTo(result.Buffer.End);
        await Output.WriteAsync("late"u8.ToArray()).InTime();
        Assert.Equal("late"u8.ToArray(), await _client.ReadExactlyAsync(4));
    }

    [Fact]
    public async Task ConnectionClosed_fires_on_FIN_while_nobody_reads()
    {
        Task<bool> closed = WhenClosed();

        // A first read, so that the connection is in use; then the application is busy.
        await _client.SendAsync("x");
        ReadResult result = await Input.ReadAsync().InTime();
        Input.AdvanceTo(result.Buffer.End);
        _client.ShutdownSend();

        Assert.True(await closed.InTime());
    }

    [Fact]
    public async Task The_peers_RST_faults_the_input_and_fires_ConnectionClosed()
    {
        Task<bool> closed = WhenClosed();
        Task<ReadResult> reading = Input.ReadAsync().AsTask();

        _client.Reset();

        await Assert.ThrowsAsync<ConnectionResetException>(() => reading.InTime());
        await closed.InTime();
        Assert.Single(Logged(19));
        Assert.Empty(_harness.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task Abort_with_a_reason_sends_RST_and_a_read_throws_the_reason()
    {
        Task<bool> closed = WhenClosed();
        Task<ReadResult> reading = Input.ReadAsync().AsTask();
        var reason = new ConnectionAbortedException("because");

        _connection.Abort(reason);

        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading.InTime()));
        Assert.Equal(PeerEnd.Reset, (await _client.ReadToEndAsync()).End);
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

        _connection.Abort(null!);

        await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading.InTime());
        Assert.Equal(PeerEnd.Fin, (await _client.ReadToEndAsync()).End);
        await closed.InTime();
        Assert.Single(Logged(7));
        Assert.Empty(Logged(8));
    }

    [Fact]
    public async Task Abort_without_a_reason_sends_FIN_also_when_request_bytes_are_unread()
    {
        await _client.SendAsync(new byte[100_000]);
        await Output.WriteAsync("bye"u8.ToArray()).InTime();

        _connection.Abort(null!);

        (byte[] bytes, PeerEnd end) = await _client.ReadToEndAsync();
        Assert.Equal("bye"u8.ToArray(), bytes);
        Assert.Equal(PeerEnd.Fin, end);
    }

    [Fact]
    public async Task Abort_without_a_reason_after_the_peers_FIN_leaves_what_came_before_it_readable()
    {
        Task<bool> closed = WhenClosed();
        await _client.SendAsync("hello");
        ReadResult result = await Input.ReadAsync().InTime();
        Input.AdvanceTo(result.Buffer.Start);
        _client.ShutdownSend();
        await closed.InTime();

        // Kestrel does this every time the peer ends.
        _connection.Abort(null!);

        result = await Input.ReadAsync().InTime();
        Assert.Equal("hello"u8.ToArray(), System.Buffers.BuffersExtensions.ToArray(result.Buffer));
        Input.AdvanceTo(result.Buffer.End);
        Assert.True((await Input.ReadAsync().InTime()).IsCompleted);
    }

    [Fact]
    public async Task Abort_ends_a_flush_that_waits_for_a_slow_peer()
    {
        Task<FlushResult> flushing = Output.WriteAsync(new byte[32 * 1024 * 1024]).AsTask();
        Assert.False(flushing.IsCompleted);

        _connection.Abort(new ConnectionAbortedException());

        Assert.True((await flushing.InTime()).IsCompleted);
    }

    [Fact]
    public async Task Disposing_sends_everything_that_was_flushed_and_then_FIN()
    {
        byte[] content = new byte[8 * 1024 * 1024];
        Random.Shared.NextBytes(content);
        _ = Output.WriteAsync(content).AsTask();
        Task<bool> closed = WhenClosed();

        Task disposing = _connection.DisposeAsync().AsTask();
        Task second = _connection.DisposeAsync().AsTask();
        Assert.False(disposing.IsCompleted);
        Assert.False(second.IsCompleted);

        (byte[] bytes, PeerEnd end) = await _client.ReadToEndAsync();
        await disposing.InTime();
        await second.InTime();
        Assert.Equal(PeerEnd.Fin, end);
        Assert.True(content.AsSpan().SequenceEqual(bytes));
        Assert.True(closed.IsCompletedSuccessfully, "the callbacks have run when DisposeAsync returns");
        Assert.Single(Logged(7));
        Assert.True(_connection.DisposeAsync().AsTask().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Disposing_waits_for_the_callbacks_of_ConnectionClosed()
    {
        using var gate = new ManualResetEventSlim();
        _connection.ConnectionClosed.Register(gate.Wait);

        Task disposing = _connection.DisposeAsync().AsTask();
        Assert.Equal(PeerEnd.Fin, (await _client.ReadToEndAsync()).End);
        Assert.False(disposing.IsCompleted);

        gate.Set();
        await disposing.InTime();
    }

    [Fact]
    public async Task Abort_cuts_the_drain_of_a_disposal()
    {
        _ = Output.WriteAsync(new byte[32 * 1024 * 1024]).AsTask();
        Task disposing = _connection.DisposeAsync().AsTask();
        Assert.False(disposing.IsCompleted);

        _connection.Abort(new ConnectionAbortedException("too slow"));

        await disposing.InTime();
        Assert.Equal(PeerEnd.Reset, (await _client.ReadToEndAsync()).End);
    }

    [Fact]
    public async Task A_callback_that_throws_is_logged_and_stops_nothing()
    {
        bool ran = false;
        _connection.ConnectionClosed.Register(() => ran = true);
        _connection.ConnectionClosed.Register(() => throw new InvalidOperationException("from a callback"));

        await _connection.DisposeAsync().InTime();

        Assert.True(ran);
        LogEntry error = Assert.Single(_harness.Logs.Above(LogLevel.Warning));
        Assert.Contains("from a callback", error.Exception!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Aborting_and_disposing_from_many_threads_ends_it_once()
    {
        int fired = 0;
        _connection.ConnectionClosed.Register(() => Interlocked.Increment(ref fired));
        Task<ReadResult> reading = Input.ReadAsync().AsTask();

        await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Task.Run(async () =>
        {
            switch (i % 3)
            {
                case 0:
                    _connection.Abort(null!);
                    break;
                case 1:
                    _connection.Abort(new ConnectionAbortedException());
                    break;
                default:
                    await _connection.DisposeAsync();
                    break;
            }
        }))).InTime();

        _connection.Abort();
        await reading.ContinueWith(static _ => { }, TaskScheduler.Default).InTime();
        Assert.Equal(1, fired);
        Assert.Single(Logged(7).Concat(Logged(8)));
    }

    private IEnumerable<LogEntry> Logged(int id) => _harness.Logs.Of(TransportKind.Netpoll, id);

    /// <summary>The result tells whether the callback ran on the thread pool.</summary>
    private Task<bool> WhenClosed()
    {
        var closed = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _connection.ConnectionClosed.Register(() => closed.TrySetResult(Thread.CurrentThread.IsThreadPoolThread));
        return closed.Task;
    }
}
