using System.IO.Pipelines;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>One connection of the transport, without Kestrel, and its client. At the end every block must have been given back.</summary>
public abstract class OneConnection : IAsyncLifetime
{
    private protected TransportHarness Harness { get; private set; } = null!;

    private protected NetpollConnection Connection { get; private set; } = null!;

    private protected RawClient Client { get; private set; } = null!;

    private protected PipeReader Input => Connection.Transport.Input;

    private protected PipeWriter Output => Connection.Transport.Output;

    public async ValueTask InitializeAsync()
    {
        Harness = await TransportHarness.StartAsync();
        (Connection, Client) = await Harness.ConnectAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Connection.DisposeAsync().InTime();
        Client.Dispose();
        await Harness.Pools.AllReturnedAsync();
        await Harness.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected IEnumerable<LogEntry> Logged(int id) => Harness.Logs.Of(TransportKind.Netpoll, id);

    /// <summary>The result tells whether the callback ran on the thread pool.</summary>
    private protected Task<bool> WhenClosed()
    {
        var closed = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        Connection.ConnectionClosed.Register(() => closed.TrySetResult(Thread.CurrentThread.IsThreadPoolThread));
        return closed.Task;
    }
}
