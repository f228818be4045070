namespace KestrelNetpoll.Transport;

/// <content>How the process is started, replaced and stopped. They concern a host: a factory made by hand does not heed them.</content>
public sealed partial class NetpollTransportOptions
{
    internal const int MaxHandOverPathLength = 107;

    internal static readonly TimeSpan DefaultHandOverGracePeriod = TimeSpan.FromSeconds(5);
    internal static readonly TimeSpan MaxHandOverGracePeriod = TimeSpan.FromDays(1);

    /// <summary>
    /// Gets or sets whether systemd, or whoever else has set <c>NOTIFY_SOCKET</c>, is told that the service is ready (<c>READY=1</c>), when
    /// the host has started, and that it stops (<c>STOPPING=1</c>). For units with <c>Type=notify</c>. Without effect where the host tells
    /// it already: where <c>UseSystemd</c> or <c>AddSystemd</c> of <c>Microsoft.Extensions.Hosting.Systemd</c> was called.
    /// </summary>
    /// <value>The default is <see langword="false"/>.</value>
    public bool NotifySystemd { get; set; }

    /// <summary>
    /// Gets or sets where a new process of the same application takes over from this one, without a connection being refused: the path of
    /// a Unix socket. A process that starts, and finds one that listens there, gets its listening sockets for the endpoints that it binds,
    /// and serves them from the moment at which its host has started. The other one then accepts nothing more, lets its connections end,
    /// and stops its host. Both must belong to the same user, or the other one to root.
    /// </summary>
    /// <remarks>
    /// IP and Unix endpoints are handed over, by their addresses, but for those of
    /// <see cref="NetpollEndpointOptions.CreateBoundListenSocket"/>. What is not asked for is closed; what the other process does not have
    /// is bound as usual. The file is made for this user only, and one that a killed process has left behind is replaced. If the new
    /// process does not get as far as having started, the old one goes on.
    /// </remarks>
    /// <value>
    /// An absolute path of at most 107 bytes, in a folder that other users cannot write to; <see langword="null"/>, the default: none.
    /// </value>
    public string? HandOverPath { get; set; }

    /// <summary>
    /// Gets or sets how long, after another process has taken over, connections are left to end by themselves: those of HTTP/1.1 with the
    /// response to their next request. Then the host stops, which closes idle connections, and gives requests under way its shutdown
    /// timeout. It stops earlier when no connection is left.
    /// </summary>
    /// <value>0 to 1 day. The default is 5 seconds.</value>
    public TimeSpan HandOverGracePeriod { get; set; } = DefaultHandOverGracePeriod;
}
