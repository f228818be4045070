using System.Net.Sockets;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Listening;

namespace KestrelNetpoll.Transport.HandOver;

/// <content>What the process that serves does for the next one.</content>
internal sealed partial class HandOverService
{
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
            // The host stops. Who finds the path without anybody takes the addresses to be free.
            await ListenersClosedAsync().ConfigureAwait(false);
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
            // Without a word: what it has got is its own, and what it has not it binds when it sees the end.
            await ListenersClosedAsync().ConfigureAwait(false);
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

    // Unless nobody unbinds them before the transport is disposed of.
    private async Task ListenersClosedAsync()
    {
        var closed = Task.WhenAll(_getListeners().Select(static listener => listener.WhenClosed));
        await Task.WhenAny(closed, _disposing.Task).ConfigureAwait(false);
    }

    private async Task DrainAsync(ConnectionServices services, Successor successor)
    {
        ConnectionTracker connections = services.Connections;
        NetpollTransportLog.HandedOver(_logger, successor.ProcessId, connections.Count);

        // First: a stop in between says nothing to the service manager, for which the service goes on.
        _isDraining = true;
        Interlocked.MemoryBarrier();
        _notifier?.Succeeded(successor.ProcessId);
        _report.Begin(connections, "the hand-over");

        IReadOnlyList<NetpollConnectionListener> listeners = _getListeners();
        foreach (NetpollConnectionListener dropped in listeners.Where(listener => !successor.Claims(listener)))
        {
            NetpollTransportLog.EndpointDropped(_logger, dropped.EndPoint, successor.ProcessId);
        }

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
