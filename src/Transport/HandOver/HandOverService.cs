using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Listening;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.HandOver;

/// <summary>
/// From one process to the next: gets the sockets of a predecessor when the host starts, goes on with them when it has started, and gives
/// them to a successor later.
/// </summary>
/// <remarks>
/// <code>
///   the process          its listeners         it becomes
///   starting             are held              serving, once its predecessor says that all is its own, or has ended; or it stops
///   serving              accept                draining, when a successor is ready; stopping
///   draining             are closed            stopping, when nobody is connected any more, or after a grace time
///   stopping             are closed            nothing
/// </code>
/// </remarks>
internal sealed class HandOverService : IAsyncDisposable
{
    private readonly string _path;
    private readonly TimeSpan _gracePeriod;
    private readonly HandOverTimes _times;
    private readonly ILogger _logger;
    private readonly IHostApplicationLifetime _host;
    private readonly Func<IReadOnlyList<NetpollConnectionListener>> _getListeners;
    private readonly ConnectionReport _report;

    // One endpoint after the other.
    private readonly SemaphoreSlim _asking = new(1);

    // Cancelled when the host begins to stop. Without a timer, so that it need not be disposed of.
    private readonly CancellationTokenSource _stopping = new();

    // Of whichever endpoint was bound first; null before.
    private volatile ConnectionServices? _services;

    // Of the starting process; null once it is looked for and there is none.
    private Predecessor? _predecessor;
    private bool _hasLooked;

    // Null: no service manager wants to know.
    private ServiceNotifier? _notifier;

    private volatile Task _running = Task.CompletedTask;
    private volatile bool _isDraining;
    private volatile bool _hasStarted;

    internal HandOverService(
        string path,
        TimeSpan gracePeriod,
        HandOverTimes times,
        ILogger logger,
        IHostApplicationLifetime host,
        Func<IReadOnlyList<NetpollConnectionListener>> getListeners,
        ConnectionReport report)
    {
        _path = path;
        _gracePeriod = gracePeriod;
        _times = times;
        _logger = logger;
        _host = host;
        _getListeners = getListeners;
        _report = report;
    }

    /// <summary>Another process serves by now, and connections are to end.</summary>
    internal bool IsDraining => _isDraining;

    /// <summary>The sockets of an endpoint that is to be bound; null if there is nobody who has them.</summary>
    /// <exception cref="IOException">There is somebody, but nothing to be had from him.</exception>
    /// <exception cref="SocketException">The same.</exception>
    internal async Task<BoundSockets?> TryInheritAsync(
        ConnectionServices services, EndPoint endPoint, NetpollTransportOptions options, CancellationToken cancellationToken)
    {
        _services = services;
        if (endPoint is FileHandleEndPoint || _hasStarted)
        {
            return null;
        }

        await _asking.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (!_hasLooked)
            {
                _predecessor = await Predecessor.FindAsync(services.Runtime, _path, _times, cancellationToken).ConfigureAwait(false);
                _hasLooked = true;
            }

            return _predecessor is { } predecessor
                ? await predecessor.TryInheritAsync(endPoint, options, cancellationToken).ConfigureAwait(false)
                : null;
        }
        finally
        {
            _asking.Release();
        }
    }

    /// <summary>The host has started.</summary>
    /// <param name="notifier">Tells the service manager; null: there is none.</param>
    /// <param name="onServing">Called when this process serves.</param>
    internal void OnStarted(ServiceNotifier? notifier, Action onServing)
    {
        _notifier = notifier;
        _hasStarted = true;
        if (_services is { } services)
        {
            // What waits for the start is not to wait for the other process.
            _running = Task.Run(() => RunAsync(services, onServing));
        }
        else
        {
            onServing();
        }
    }

    /// <summary>The host begins to stop.</summary>
    internal void OnStopping() => _stopping.Cancel();

    /// <summary>
    /// After the host has stopped, or has not started: a predecessor goes on serving, if it was not told that this process is ready.
    /// Completes when the file at the path has been removed, if it was this process's.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _predecessor?.Dispose();
        await _running.ConfigureAwait(false);
    }

    private async Task RunAsync(ConnectionServices services, Action onServing)
    {
        UnixListener? listener = null;
        try
        {
            if (_predecessor is { } predecessor)
            {
                listener = await TakeOverAsync(predecessor).ConfigureAwait(false);
            }

            onServing();
            listener ??= UnixListener.Bind(services.Runtime, _path);
        }
        catch (OperationCanceledException)
        {
            return;
        }
        catch (SocketException e)
        {
            NetpollTransportLog.HandOverUnavailable(_logger, _path, e);
            return;
        }
        catch (IOException e)
        {
            NetpollTransportLog.HandOverRefused(_logger, e);
            _host.StopApplication();
            return;
        }

        await WaitForSuccessorsAsync(services, listener).ConfigureAwait(false);
    }

    // Null: it has ended without giving the listener away.
    private async Task<UnixListener?> TakeOverAsync(Predecessor predecessor)
    {
        IReadOnlyList<NetpollConnectionListener> listeners = _getListeners();
        UnixListener? listener;
        try
        {
            listener = await predecessor.TakeOverAsync(_stopping.Token).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw new IOException(e.Message, e);
        }

        foreach (NetpollConnectionListener inherited in listeners)
        {
            inherited.Release();
        }

        ServiceNotifier.WarnIfUnheard(_logger);
        NetpollTransportLog.TookOver(_logger, predecessor.ProcessId);
        _ = FinishTakingOverAsync(predecessor, listeners);
        return listener;
    }

    private async Task FinishTakingOverAsync(Predecessor predecessor, IReadOnlyList<NetpollConnectionListener> listeners)
    {
        await predecessor.WaitUntilClosedAsync(_stopping.Token).ConfigureAwait(false);
        predecessor.Dispose();
        foreach (NetpollConnectionListener inherited in listeners)
        {
            inherited.LookAgain();
        }
    }

    private async Task WaitForSuccessorsAsync(ConnectionServices services, UnixListener listener)
    {
        bool isHandedOver = false;
        try
        {
            while (!isHandedOver)
            {
                if (await AcceptAsync(listener).ConfigureAwait(false) is not { } channel)
                {
                    continue;
                }

                using (channel)
                {
                    var successor = new Successor(channel, _getListeners, _times);
                    isHandedOver = await TryHandOverAsync(successor, listener).ConfigureAwait(false);
                    if (isHandedOver)
                    {
                        listener.Dispose();
                        await DrainAsync(services, successor).ConfigureAwait(false);
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The host stops.
        }
        finally
        {
            if (!isHandedOver)
            {
                listener.RemoveFile();
                listener.Dispose();
            }
        }
    }

    private async Task<DescriptorChannel?> AcceptAsync(UnixListener listener)
    {
        try
        {
            return await listener.AcceptAsync(_stopping.Token).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            NetpollTransportLog.HandOverUnavailable(_logger, _path, e);
            await Task.Delay(_times.Pause, _stopping.Token).ConfigureAwait(false);
            return null;
        }
    }

    private async Task<bool> TryHandOverAsync(Successor successor, UnixListener listener)
    {
        try
        {
            await successor.ServeAsync(listener, () => _notifier?.Reloading(), _stopping.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException)
        {
            // Without a word: what it has got is its own.
            throw;
        }
        catch (Exception e)
        {
            // Whatever it is, this process serves as before.
            NetpollTransportLog.HandOverFailed(_logger, successor.ProcessId, e);
            successor.Refuse(e.Message);
            if (successor.HasBegun)
            {
                _notifier?.Ready();
            }

            return false;
        }
    }

    private async Task DrainAsync(ConnectionServices services, Successor successor)
    {
        ConnectionTracker connections = services.Connections;
        NetpollTransportLog.HandedOver(_logger, successor.ProcessId, connections.Count);
        _notifier?.Succeeded(successor.ProcessId);
        _isDraining = true;
        Interlocked.MemoryBarrier();
        _report.Begin(connections, "the hand-over");

        IReadOnlyList<NetpollConnectionListener> listeners = _getListeners();
        Task[] unbound = [.. listeners.Select(static listener => listener.UnbindAsync().AsTask())];
        await Task.WhenAll(listeners.Select(static listener => listener.WhenClosed)).ConfigureAwait(false);
        successor.SayClosed();
        foreach (TrackedConnection connection in connections.Find(static connection => connection.IsMultiplexed))
        {
            (connection as IWatchedConnection)?.TryRequestClose();
        }

        await Task.WhenAll(unbound).ConfigureAwait(false);
        await Task.WhenAny(connections.WhenEmptyAsync(), Task.Delay(_gracePeriod, _stopping.Token)).ConfigureAwait(false);

        // The rest is what any stop does: idle connections are closed, and requests under way have the host's time.
        _host.StopApplication();
    }
}
