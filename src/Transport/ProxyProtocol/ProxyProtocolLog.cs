using System.Net;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>What is logged about headers. A peer's behaviour never logs above Debug. Ids go on from those of the transport.</summary>
internal static partial class ProxyProtocolLog
{
    internal const string Category = "KestrelNetpoll.Transport.ProxyProtocol";

    [LoggerMessage(
        200, LogLevel.Debug, @"Connection id ""{ConnectionId}"" from {Peer} is closed: {Reason}.", EventName = "ProxyProtocolRefused")]
    internal static partial void Refused(ILogger logger, string connectionId, EndPoint? peer, string reason);
}
