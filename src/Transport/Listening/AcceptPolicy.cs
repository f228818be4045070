using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>
/// Decides about connections that are only a number yet: first how many the client has, which costs little, then the application's hook.
/// Thread-safe. Nothing leaves it: an acceptor must go on whatever the hook does.
/// </summary>
internal sealed class AcceptPolicy
{
    private readonly AcceptHook? _hook;
    private readonly AddressCounts? _counts;
    private readonly ILogger _logger;
    private readonly SystemCalls _systemCalls;

    private long _refusedByHook;
    private long _refusedByAddress;

    // 0 until the hook has thrown, then 1.
    private int _hookFailed;

    private AcceptPolicy(AcceptHook? hook, int? maxConnectionsPerAddress, ILogger logger, SystemCalls systemCalls)
    {
        _hook = hook;
        _counts = maxConnectionsPerAddress is { } limit ? new AddressCounts(limit) : null;
        _logger = logger;
        _systemCalls = systemCalls;
    }

    /// <summary>How many connections the hook did not want, or threw at.</summary>
    internal long RefusedByHook => Volatile.Read(ref _refusedByHook);

    /// <summary>How many connections were more than their client may have.</summary>
    internal long RefusedByAddress => Volatile.Read(ref _refusedByAddress);

    /// <summary>Clients that have a connection; 0 if that is not counted.</summary>
    internal int Clients => _counts?.Count ?? 0;

    /// <summary>Null: all connections are accepted.</summary>
    internal static AcceptPolicy? From(NetpollTransportOptions options, ILogger logger, SystemCalls systemCalls) =>
        options.OnAccept is null && options.MaxConnectionsPerAddress is null
            ? null
            : new AcceptPolicy(options.OnAccept, options.MaxConnectionsPerAddress, logger, systemCalls);

    /// <summary>
    /// Accept: the client has a place for the connection, until <see cref="OnEnded"/>. Otherwise the caller closes it.
    /// </summary>
    internal AcceptDecision Decide(ListenSocket listener, int fd, in SocketAddressBytes address)
    {
        bool counts = address.TryGetNetwork(out NetworkKey client) && _counts is not null;
        if (counts && !_counts!.TryAdd(client))
        {
            Interlocked.Increment(ref _refusedByAddress);
            Log(listener, address, nameof(NetpollTransportOptions.MaxConnectionsPerAddress));
            return AcceptDecision.Refuse;
        }

        AcceptDecision decision = AskHook(listener, fd, address);
        if (decision != AcceptDecision.Accept)
        {
            if (counts)
            {
                _counts!.Remove(client);
            }

            Interlocked.Increment(ref _refusedByHook);
            Log(listener, address, nameof(NetpollTransportOptions.OnAccept));
        }

        return decision;
    }

    /// <summary>A connection that was accepted has ended, or could not be begun. Once for each.</summary>
    internal void OnEnded(StreamSocket socket)
    {
        if (_counts is not null && socket.Network is { } client)
        {
            _counts.Remove(client);
        }
    }

    private AcceptDecision AskHook(ListenSocket listener, int fd, in SocketAddressBytes address)
    {
        if (_hook is null)
        {
            return AcceptDecision.Accept;
        }

        try
        {
            return _hook(new IncomingConnection(_systemCalls, fd, address, listener.LocalEndPoint));
        }
        catch (Exception e)
        {
            if (Interlocked.Exchange(ref _hookFailed, 1) == 0)
            {
                NetpollTransportLog.AcceptHookFailed(_logger, listener.LocalEndPoint, e);
            }

            return AcceptDecision.Refuse;
        }
    }

    private void Log(ListenSocket listener, in SocketAddressBytes address, string option)
    {
        if (_logger.IsEnabled(LogLevel.Debug))
        {
            NetpollTransportLog.ConnectionRefused(_logger, address.ToEndPoint(), listener.LocalEndPoint, option);
        }
    }
}
