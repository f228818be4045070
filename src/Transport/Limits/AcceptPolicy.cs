using System.Net;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Limits;

/// <summary>
/// Decides about the connections of an endpoint that are only a number yet: first how many the client has, which costs little, then the
/// application's hook. Thread-safe. Nothing leaves it: an acceptor must go on whatever the hook does.
/// </summary>
internal sealed class AcceptPolicy
{
    private readonly AcceptHook? _hook;
    private readonly AddressCounts? _counts;
    private readonly AcceptRefusals _refusals;
    private readonly ILogger _logger;

    // 0 until the hook has thrown, then 1.
    private int _hookFailed;

    private AcceptPolicy(AcceptHook? hook, AddressCounts? counts, AcceptRefusals refusals, ILogger logger) =>
        (_hook, _counts, _refusals, _logger) = (hook, counts, refusals, logger);

    /// <summary>Clients that have a connection; 0 if that is not counted.</summary>
    internal int Clients => _counts?.Count ?? 0;

    /// <summary>Null: all connections are accepted.</summary>
    /// <param name="hook">Null if there is none.</param>
    /// <param name="counts">What may belong to several endpoints; null if a client may have any number of connections.</param>
    /// <param name="refusals">What counts those that are not accepted.</param>
    /// <param name="logger">Gets a line for each of them.</param>
    internal static AcceptPolicy? From(AcceptHook? hook, AddressCounts? counts, AcceptRefusals refusals, ILogger logger) =>
        hook is null && counts is null ? null : new AcceptPolicy(hook, counts, refusals, logger);

    /// <summary>
    /// Accept: the client has a place for the connection, until <see cref="OnEnded"/>. Otherwise the caller closes it.
    /// </summary>
    internal AcceptDecision Decide(EndPoint endPoint, in TakenSocket taken)
    {
        NetworkKey? client = _counts is null ? null : taken.Network;
        if (client is { } counted && !_counts!.TryAdd(counted))
        {
            _refusals.CountByAddress();
            Log(endPoint, taken, nameof(NetpollTransportOptions.MaxConnectionsPerAddress));
            return AcceptDecision.Refuse;
        }

        AcceptDecision decision = AskHook(endPoint, taken);
        if (decision != AcceptDecision.Accept)
        {
            OnEnded(client);
            _refusals.CountByHook();
            Log(endPoint, taken, nameof(NetpollTransportOptions.OnAccept));
        }

        return decision;
    }

    /// <summary>A connection that was accepted has ended, or could not be begun. Once for each.</summary>
    /// <param name="client">Its <see cref="StreamSocket.Network"/>.</param>
    internal void OnEnded(NetworkKey? client)
    {
        if (client is { } counted)
        {
            _counts?.Remove(counted);
        }
    }

    private AcceptDecision AskHook(EndPoint endPoint, in TakenSocket taken)
    {
        if (_hook is null)
        {
            return AcceptDecision.Accept;
        }

        try
        {
            return _hook(new IncomingConnection(endPoint, taken));
        }
        catch (Exception e)
        {
            if (Interlocked.Exchange(ref _hookFailed, 1) == 0)
            {
                NetpollTransportLog.AcceptHookFailed(_logger, endPoint, e);
            }

            return AcceptDecision.Refuse;
        }
    }

    private void Log(EndPoint endPoint, in TakenSocket taken, string option)
    {
        if (_logger.IsEnabled(LogLevel.Debug))
        {
            NetpollTransportLog.ConnectionRefused(_logger, taken.RemoteEndPoint, endPoint, option);
        }
    }
}
