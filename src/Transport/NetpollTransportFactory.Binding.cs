using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Listening;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport;

/// <content>From an endpoint to a listener: whether this transport serves it, and with which options.</content>
public sealed partial class NetpollTransportFactory
{
    /// <summary>
    /// Tells whether this transport serves an endpoint: IP, Unix domain and file handle endpoints, where the transport can run, and unless
    /// the endpoint was left to the Sockets transport. Only starting it shows whether it can run, so this starts its workers. Kestrel
    /// offers the others to the transports that were registered before this one.
    /// </summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <returns><see langword="true"/> if <see cref="BindAsync"/> may be called with it.</returns>
    /// <exception cref="PlatformNotSupportedException">It cannot run, and the options name a backend.</exception>
    public bool CanBind(EndPoint endpoint)
    {
        if (!IsServed(endpoint))
        {
            return false;
        }

        bool isLeft = _endpoints.IsLeftToOthers(endpoint, out string? overruled);
        if (overruled is not null)
        {
            NetpollTransportLog.SectionOverruled(_logger, endpoint, overruled, isLeft ? "UseSocketsTransport" : "UseNetpoll");
        }

        if (isLeft)
        {
            NetpollTransportLog.LeftToOthers(_logger, endpoint);
            return false;
        }

        if ((Obstacle ?? TryStart()) is not { } obstacle)
        {
            return true;
        }

        _options.Value.ThrowIfDemanded(obstacle);
        if (Interlocked.Exchange(ref _obstacleLogged, 1) == 0)
        {
            NetpollTransportLog.NotSupported(_logger, obstacle);
        }

        return false;
    }

    /// <summary>Binds an endpoint and listens on it. The listener's endpoint has the real port when this returns.</summary>
    /// <param name="endpoint">
    /// An <see cref="IPEndPoint"/>, a <see cref="UnixDomainSocketEndPoint"/>, or a <see cref="FileHandleEndPoint"/> of a stream socket that
    /// is bound; the handle stays its owner's and is not closed.
    /// </param>
    /// <param name="cancellationToken">
    /// Ends the waiting for another process (<see cref="NetpollTransportOptions.HandOverPath"/>); nothing else waits.
    /// </param>
    /// <returns>The listener.</returns>
    /// <exception cref="AddressInUseException">Another socket has the address.</exception>
    /// <exception cref="SocketException">Any other failure of the system calls.</exception>
    /// <exception cref="ArgumentException"><paramref name="endpoint"/> is of another kind.</exception>
    /// <exception cref="IOException">
    /// Another process, at <see cref="NetpollTransportOptions.HandOverPath"/>, cannot be trusted or does not answer as it should.
    /// </exception>
    /// <exception cref="OptionsValidationException">The endpoint has options of its own, and they are wrong.</exception>
    /// <exception cref="InvalidOperationException">What code sets such options with has thrown.</exception>
    /// <exception cref="PlatformNotSupportedException">The transport cannot run here; see <see cref="UnsupportedReason"/>.</exception>
    /// <exception cref="ObjectDisposedException">The factory has been disposed.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        if (!IsServed(endpoint))
        {
            throw new ArgumentException(
                $"The netpoll transport serves IP, Unix domain and file handle endpoints, not {endpoint.GetType().Name}.",
                nameof(endpoint));
        }

        NetpollTransportContext context = GetOrCreateContext();
        NetpollTransportOptions options = _endpoints.OptionsOf(endpoint, _options.Value);
        return HandOver is { } handOver
            ? BindOrInheritAsync(handOver, context, endpoint, options, cancellationToken)
            : new ValueTask<IConnectionListener>(Listen(context, endpoint, Bind(context, endpoint, options), options, isHeld: false));
    }

    private static bool IsServed(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint or FileHandleEndPoint;

    private static BoundSockets Bind(NetpollTransportContext context, EndPoint endpoint, NetpollTransportOptions options)
    {
        try
        {
            return EndPointBinding.Bind(context.Runtime, endpoint, options);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(e.Message, e);
        }
    }

    private NetpollConnectionListener Listen(
        NetpollTransportContext context, EndPoint endpoint, BoundSockets sockets, NetpollTransportOptions options, bool isHeld)
    {
        var listener = new NetpollConnectionListener(context.ServicesFor(options), endpoint, sockets, isHeld, OnListenerClosed);
        bool disposed;
        lock (_lock)
        {
            disposed = _disposing is not null;
            if (!disposed)
            {
                _listeners.Add(listener);
            }
        }

        if (disposed)
        {
            _ = sockets.CloseAsync();
            throw new ObjectDisposedException(nameof(NetpollTransportFactory));
        }

        _multipath.LogIfMissing(endpoint, sockets, options);
        NetpollTransportLog.ServedByNetpoll(_logger, listener.EndPoint, context.Backend, context.WorkerCount);
        return listener;
    }

    // A transport that was registered later has bound the endpoint, or hands an endpoint of its own making to this one.
    private void LogMissedChoices()
    {
        foreach (EndpointChoice choice in _endpoints.FindMissed())
        {
            NetpollTransportLog.ChoiceMissed(
                _logger, choice.UsesNetpoll == true ? "UseNetpoll" : "UseSocketsTransport", choice.Name);
        }
    }

    private void OnListenerClosed(NetpollConnectionListener listener)
    {
        lock (_lock)
        {
            _listeners.Remove(listener);
        }
    }
}
