namespace KestrelNetpoll.Transport;

/// <summary>Decides about a connection that has just been accepted; see <see cref="NetpollEndpointOptions.OnAccept"/>.</summary>
/// <param name="connection">The connection, valid during the call.</param>
/// <returns>What becomes of it.</returns>
public delegate AcceptDecision AcceptHook(IncomingConnection connection);
