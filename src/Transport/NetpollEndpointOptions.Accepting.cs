namespace KestrelNetpoll.Transport;

/// <content>Which connections are served.</content>
public abstract partial class NetpollEndpointOptions
{
    /// <summary>
    /// Gets or sets what decides about each connection, after it has been accepted and before anything is allocated for it. For lists of
    /// addresses, for users of Unix sockets, for shedding load. Only code can set it.
    /// </summary>
    /// <remarks>
    /// It runs on the workers, on several at once, and in front of all that wait to be accepted: it must be thread-safe and quick, and not
    /// block. If it throws, the connection is refused; the first exception is logged at Error, the others are only counted, with
    /// all that it has refused. The connections that <see cref="MaxConnectionsPerAddress"/> refuses do not come here.
    /// </remarks>
    /// <value><see langword="null"/>, the default, accepts all.</value>
    public AcceptHook? OnAccept { get; set; }

    /// <summary>
    /// Gets or sets how many connections one client may have at once: on all endpoints together, but for those that set it for themselves,
    /// whose connections are counted apart. A client is an IPv4 address, or a network of
    /// IPv6 (/64), which is what one customer of a provider gets; of the own link (fe80::/10), each address. More are refused with RST.
    /// Unix sockets do not count. Behind a proxy all connections have its address.
    /// </summary>
    /// <value>1 or more; <see langword="null"/>, the default, is no limit.</value>
    public int? MaxConnectionsPerAddress
    {
        get;
        set
        {
            field = value;
            CountsAddressesApart = true;
        }
    }

    /// <summary>Has <see cref="MaxConnectionsPerAddress"/> been set since these are the endpoint's own?</summary>
    internal bool CountsAddressesApart { get; set; }
}
