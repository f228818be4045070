namespace KestrelNetpoll.Transport;

/// <summary>
/// Who is at the other end of a Unix socket: a feature of every connection of a Unix endpoint that the netpoll transport serves; a request
/// finds it in <c>HttpContext.Features</c>. Other connections do not have it. Thread-safe.
/// </summary>
public interface IUnixPeerCredentialsFeature
{
    /// <summary>
    /// Asks the kernel (<c>SO_PEERCRED</c>), the first time. The answer is of the moment at which the client connected, and does not
    /// change: the process may have ended since, or have handed the socket to another.
    /// </summary>
    /// <returns>
    /// The credentials; <see langword="null"/> if the connection has ended without having been asked before.
    /// </returns>
    UnixPeerCredentials? GetPeerCredentials();
}
