namespace KestrelNetpoll.Transport;

/// <content>Options of listening IP sockets that depend on the network's setup. They do nothing on Unix sockets.</content>
public abstract partial class NetpollEndpointOptions
{
    internal const int MaxDeviceNameLength = 15;
    internal const int MaxTypeOfService = 255;

    /// <summary>
    /// Gets or sets whether an address may be bound that the machine does not have, or not yet (<c>IP_FREEBIND</c>): one that moves between
    /// machines, or an interface that comes up later. Only for sockets that the transport binds itself.
    /// </summary>
    /// <value>The default is <see langword="false"/>.</value>
    public bool FreeBind { get; set; }

    /// <summary>
    /// Gets or sets the network interface that connections have to come through (<c>SO_BINDTODEVICE</c>), for instance <c>eth0</c> or a
    /// VRF. Only for sockets that the transport binds itself. On old kernels (before Linux 5.7) it needs <c>CAP_NET_RAW</c>.
    /// </summary>
    /// <value>A name of at most 15 bytes; <see langword="null"/>, the default, is any.</value>
    public string? BindToDevice { get; set; }

    /// <summary>
    /// Gets or sets the mark of the packets sent (<c>SO_MARK</c>), by which firewalls and routing rules know them. Needs
    /// <c>CAP_NET_ADMIN</c>, or <c>CAP_NET_RAW</c> from Linux 5.17 on. In the configuration also as <c>0x10</c>.
    /// </summary>
    /// <value><see langword="null"/>, the default, is none.</value>
    public uint? Mark { get; set; }

    /// <summary>
    /// Gets or sets the byte by which routers choose a class of service (<c>IP_TOS</c>, and <c>IPV6_TCLASS</c>): the DSCP times four. The
    /// lowest two bits are TCP's own and are ignored for IPv4. In the configuration also as <c>0xB8</c>.
    /// </summary>
    /// <value>0 to 255; <see langword="null"/>, the default, is the system's choice.</value>
    public int? TypeOfService { get; set; }

    /// <summary>
    /// Gets or sets whether clients may use several paths for one connection (<c>IPPROTO_MPTCP</c>). Those that do not speak it are served
    /// with TCP. So are all where the kernel has none, or none with the options that are given, or it is turned off
    /// (<c>net.mptcp.enabled</c>): a line in the log says so, once. Only for sockets that the transport binds itself.
    /// </summary>
    /// <value>The default is <see langword="false"/>.</value>
    public bool MultipathTcp { get; set; }
}
