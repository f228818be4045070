namespace KestrelNetpoll.Transport;

/// <summary>
/// What the kernel measures of a TCP connection: a feature of every connection of an IP endpoint that the netpoll transport serves; a
/// request finds it in <c>HttpContext.Features</c>. Other connections do not have it. Thread-safe.
/// </summary>
public interface ITcpInfoFeature
{
    /// <summary>Asks the kernel (<c>TCP_INFO</c>). One system call each time, and nothing otherwise.</summary>
    /// <returns>What it is now; <see langword="null"/> if the connection has ended.</returns>
    TcpInfo? GetTcpInfo();
}
