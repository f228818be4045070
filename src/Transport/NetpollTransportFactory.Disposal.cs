using System.Diagnostics;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Listening;

namespace KestrelNetpoll.Transport;

/// <content>The end: in which order everything stops, and how long that may take.</content>
public sealed partial class NetpollTransportFactory
{
    // All that disposing waits for together: connections that nobody has closed before; peers that have their last response and are still
    // sending; workers in the middle of turns. Kestrel's stop, before, may have taken as long as the host lets it.
    private static readonly TimeSpan DisposeTimeout = TimeSpan.FromSeconds(1);

    // The same if all connections that are left had been closed before: Kestrel has then waited for their handlers, and for a second after
    // having aborted them. Also the least that workers get, which may be ending what has just been closed.
    private static readonly TimeSpan DisposeGrace = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Stops the transport: closes listeners, aborts connections that are still alive, and stops the workers. Waits for all of these
    /// together for about a second, and hardly at all for connections that have been closed before, as Kestrel does when its stop takes too
    /// long. Handlers that do not end are left behind, with their threads, and a warning says how many. They may go on afterwards. Later
    /// calls wait for the first.
    /// </summary>
    /// <returns>A task that completes when all workers have stopped but those.</returns>
    public ValueTask DisposeAsync() => new(StartDispose());

    /// <summary>Does what <see cref="DisposeAsync"/> does and waits for it, except on a worker, which cannot wait for itself.</summary>
    public void Dispose()
    {
        Task disposing = StartDispose();
        if (Volatile.Read(ref _context)?.IsWorkerThread != true)
        {
            disposing.GetAwaiter().GetResult();
        }
    }

    private Task StartDispose()
    {
        lock (_lock)
        {
            if (_disposing is null)
            {
                NetpollTransportContext? context = _context;
                NetpollConnectionListener[] listeners = [.. _listeners];

                if (context is null)
                {
                    // Nothing was started, and nothing is waited for.
                    LeaveHost();
                    return _disposing = Task.CompletedTask;
                }

                // On the thread pool: the caller may be a worker, and stopping the workers means waiting for them.
                _disposing = Task.Run(() => DisposeCoreAsync(context, listeners));
            }

            return _disposing;
        }
    }

    private async Task DisposeCoreAsync(NetpollTransportContext context, NetpollConnectionListener[] listeners)
    {
        try
        {
            await StopAsync(context, listeners).ConfigureAwait(false);
        }
        finally
        {
            LeaveHost();
        }
    }

    private void LeaveHost()
    {
        _hostStarted.Unregister();
        _hostStopping.Unregister();
        _relief.End();
        _report?.Dispose();
    }

    private async Task StopAsync(NetpollTransportContext context, NetpollConnectionListener[] listeners)
    {
        await RunStepAsync("ending hand-overs", EndHandOverAsync).ConfigureAwait(false);
        await RunStepAsync("disposing of the listeners", () => Task.WhenAll(
            listeners.Select(static listener => listener.DisposeAsync().AsTask()))).ConfigureAwait(false);

        long begun = Stopwatch.GetTimestamp();
        int connections = 0;
        await RunStepAsync("aborting connections", async () => connections = await context.Services.Connections
            .AbortAllAsync("The transport has been disposed.", DisposeTimeout, DisposeGrace)
            .ConfigureAwait(false)).ConfigureAwait(false);
        if (connections != 0)
        {
            NetpollTransportLog.ConnectionsLeftBehind(_logger, connections);
        }

        await RunStepAsync("closing sockets", () => context.Services.Lingering.CloseAsync(TimeLeft())).ConfigureAwait(false);
        int workers = context.Stop(TimeLeft());
        if (workers != 0)
        {
            NetpollTransportLog.WorkersLeftBehind(_logger, workers);
        }

        // A handler that has not ended by now will not do so for being waited for.
        TimeSpan TimeLeft()
        {
            TimeSpan left = connections == 0 ? DisposeTimeout - Stopwatch.GetElapsedTime(begun) : DisposeGrace;
            return left > DisposeGrace ? left : DisposeGrace;
        }
    }

    // Listeners and connections have foreign code in them. Whatever it throws, the threads must end, and nobody could do anything about it.
    private async Task RunStepAsync(string step, Func<Task> run)
    {
        try
        {
            await run().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            NetpollTransportLog.UnexpectedStopException(_logger, step, e);
        }
    }
}
