using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>Disposing sends what was flushed, waits for the callbacks, can be cut by an abort, and happens once.</summary>
public class ConnectionDisposalTests : OneConnection
{
    [Fact]
    public async Task Abort_ends_a_flush_that_waits_for_a_slow_peer()
    {
        Task<FlushResult> flushing = Output.WriteAsync(new byte[32 * 1024 * 1024]).AsTask();
        Assert.False(flushing.IsCompleted);

        Connection.Abort(new ConnectionAbortedException());

        Assert.True((await flushing.InTime()).IsCompleted);
    }

    [Fact]
    public async Task Disposing_sends_everything_that_was_flushed_and_then_FIN()
    {
        byte[] content = new byte[8 * 1024 * 1024];
        Random.Shared.NextBytes(content);
        _ = Output.WriteAsync(content).AsTask();
        Task<bool> closed = WhenClosed();

        Task disposing = Connection.DisposeAsync().AsTask();
        Task second = Connection.DisposeAsync().AsTask();
        Assert.False(disposing.IsCompleted);
        Assert.False(second.IsCompleted);

        (byte[] bytes, PeerEnd end) = await Client.ReadToEndAsync();
        await disposing.InTime();
        await second.InTime();
        Assert.Equal(PeerEnd.Fin, end);
        Assert.True(content.AsSpan().SequenceEqual(bytes));
        Assert.True(closed.IsCompletedSuccessfully, "the callbacks have run when DisposeAsync returns");
        Assert.Single(Logged(7));
        Assert.True(Connection.DisposeAsync().AsTask().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Disposing_waits_for_the_callbacks_of_ConnectionClosed()
    {
        using var gate = new ManualResetEventSlim();
        Connection.ConnectionClosed.Register(gate.Wait);

        Task disposing = Connection.DisposeAsync().AsTask();
        Assert.Equal(PeerEnd.Fin, (await Client.ReadToEndAsync()).End);
        Assert.False(disposing.IsCompleted);

        gate.Set();
        await disposing.InTime();
    }

    [Fact]
    public async Task Abort_cuts_the_drain_of_a_disposal()
    {
        _ = Output.WriteAsync(new byte[32 * 1024 * 1024]).AsTask();
        Task disposing = Connection.DisposeAsync().AsTask();
        Assert.False(disposing.IsCompleted);

        Connection.Abort(new ConnectionAbortedException("too slow"));

        await disposing.InTime();
        Assert.Equal(PeerEnd.Reset, (await Client.ReadToEndAsync()).End);
    }

    [Fact]
    public async Task A_callback_that_throws_is_logged_and_stops_nothing()
    {
        bool ran = false;
        Connection.ConnectionClosed.Register(() => ran = true);
        Connection.ConnectionClosed.Register(() => throw new InvalidOperationException("from a callback"));

        await Connection.DisposeAsync().InTime();

        Assert.True(ran);
        LogEntry error = Assert.Single(Harness.Logs.Above(LogLevel.Warning));
        Assert.Contains("from a callback", error.Exception!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Aborting_and_disposing_from_many_threads_ends_it_once()
    {
        int fired = 0;
        Connection.ConnectionClosed.Register(() => Interlocked.Increment(ref fired));
        Task<ReadResult> reading = Input.ReadAsync().AsTask();

        await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Task.Run(async () =>
        {
            switch (i % 3)
            {
                case 0:
                    Connection.Abort(null!);
                    break;
                case 1:
                    Connection.Abort(new ConnectionAbortedException());
                    break;
                default:
                    await Connection.DisposeAsync();
                    break;
            }
        }))).InTime();

        Connection.Abort();
        await reading.ContinueWith(static _ => { }, TaskScheduler.Default).InTime();
        Assert.Equal(1, fired);
        Assert.Single(Logged(7).Concat(Logged(8)));
    }
}
