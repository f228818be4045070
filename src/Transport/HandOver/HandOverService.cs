using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Hosting;
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
///   serving              accept                draining, when a successor says that it accepts; stopping
///   draining             are closed            stopping, when nobody is connected any more, or after a grace time
///   stopping             are closed            nothing
/// </code>
/// </remarks>
internal sealed partial class HandOverService : IAsyncDisposable
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

    // Completes when nothing is waited for any more.
    private readonly TaskCompletionSource _disposing = new(TaskCreationOptions.RunContinuationsAsynchronously);

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
    internal async Task<BoundSockets?> TryInheritAsync(
        ConnectionServices services, EndPoint endPoint, NetpollTransportOptions options, CancellationToken cancellationToken)
    {
        _services = services;
        if (_hasStarted)
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

            // A handle is there already, whoever else has it.
            return _predecessor is { } predecessor && endPoint is not FileHandleEndPoint
                ? await predecessor.TryInheritAsync(endPoint, options, cancellationToken).ConfigureAwait(false)
                : null;
        }
        catch (SocketException e)
        {
            // Of localhost, and of any address, Kestrel takes other exceptions for the lack of an address family, and binds the rest.
            throw new IOException($"HandOverPath '{_path}' does not let {endPoint} be taken over: {e.Message}", e);
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
    /// After the host has stopped, or has not started: a predecessor goes on serving, if it was not told that this process accepts.
    /// Completes when the file at the path has been removed, if it was this process's.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        _disposing.TrySetResult();
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _predecessor?.Dispose();
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

            if (!_stopping.IsCancellationRequested)
            {
                onServing();
            }
            else if (listener is null)
            {
                return;
            }

            // One that stops, and has got the path already, keeps it until its sockets are closed.

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
            // By now the other one sees that nobody takes over.
            NetpollTransportLog.HandOverRefused(_logger, e);
            _host.StopApplication();
            return;
        }

        await WaitForSuccessorsAsync(services, listener).ConfigureAwait(false);
    }

    // Null: it has ended without giving the listener away, or that one is of no use.
    private async Task<UnixListener?> TakeOverAsync(Predecessor predecessor)
    {
        UnixListener? listener = null;
        NetpollConnectionListener[] inherited = [];
        try
        {
            IReadOnlyList<NetpollConnectionListener> listeners = _getListeners();
            inherited = [.. listeners.Where(static candidate => candidate.IsInherited)];
            listener = await predecessor.AnnounceAsync(
                listeners.Where(static candidate => candidate.Requested is FileHandleEndPoint).Select(static handle => handle.EndPoint),
                e => NetpollTransportLog.HandOverUnavailable(_logger, _path, e),
                _stopping.Token).ConfigureAwait(false);

            // The last moment at which nothing has happened.
            _stopping.Token.ThrowIfCancellationRequested();
            foreach (NetpollConnectionListener held in inherited)
            {
                held.Release();
            }

            await predecessor.ConfirmAsync(_stopping.Token).ConfigureAwait(false);
        }
        catch
        {
            // Everything is the other process's, also the files.
            foreach (NetpollConnectionListener held in inherited)
            {
                held.Sockets.LeaveFile = true;
            }

            listener?.Dispose();
            throw;
        }
        finally
        {
            predecessor.Dispose();
        }

        ServiceNotifier.WarnIfUnheard(_logger);
        NetpollTransportLog.TookOver(_logger, predecessor.ProcessId);
        foreach (NetpollConnectionListener released in inherited)
        {
            released.LookAgain();
        }

        return listener;
    }
}
