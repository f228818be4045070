namespace KestrelNetpoll.Transport;

/// <summary>What becomes of a connection that has just been accepted; see <see cref="NetpollEndpointOptions.OnAccept"/>.</summary>
public enum AcceptDecision
{
    /// <summary>It is served.</summary>
    Accept,

    /// <summary>It is refused: a TCP client gets a RST. A Unix client sees the end of the connection.</summary>
    Refuse,

    /// <summary>It is closed: the client gets a FIN, and a RST for what it sends after that.</summary>
    Close,
}
