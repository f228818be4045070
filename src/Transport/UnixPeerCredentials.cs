using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport;

/// <summary>Who has connected to a Unix socket, as seen from the server's namespaces.</summary>
/// <param name="ProcessId">The process; 0 if the server's PID namespace does not contain it.</param>
/// <param name="UserId">The effective user; the overflow id, usually 65534, if the server's user namespace does not map it.</param>
/// <param name="GroupId">The effective group, likewise.</param>
public readonly record struct UnixPeerCredentials(int ProcessId, uint UserId, uint GroupId)
{
    internal static UnixPeerCredentials? From(PeerCredentials? credentials) =>
        credentials is { } known ? new UnixPeerCredentials(known.ProcessId, known.UserId, known.GroupId) : null;
}
