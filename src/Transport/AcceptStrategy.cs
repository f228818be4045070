namespace KestrelNetpoll.Transport;

/// <summary>How the worker groups of the transport share an endpoint's connections.</summary>
public enum AcceptStrategy
{
    /// <summary>
    /// One listening socket for all groups; the kernel wakes one of them for each connection. A second process that binds the same address
    /// is refused, as usual, unless <see cref="NetpollEndpointOptions.ReusePort"/> is set.
    /// </summary>
    Shared,

    /// <summary>
    /// One listening socket for each group (<c>SO_REUSEPORT</c>); the kernel spreads the connections by their addresses. Other processes of
    /// the same user that also use <c>SO_REUSEPORT</c> can bind the same address and get their share of the connections. For IP endpoints
    /// that the transport binds itself, while there are several groups; all others are shared.
    /// </summary>
    ReusePort,
}
