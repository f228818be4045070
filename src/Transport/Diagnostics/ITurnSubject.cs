using System.Net;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>Whom a turn serves, for those who report on it: a connection, or an endpoint that connections are accepted from.
/// Thread-safe.</summary>
internal interface ITurnSubject
{
    /// <summary>Null: it is no connection.</summary>
    string? ConnectionId { get; }

    EndPoint? RemoteEndPoint { get; }

    EndPoint? LocalEndPoint { get; }
}
