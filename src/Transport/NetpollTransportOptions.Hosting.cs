namespace KestrelNetpoll.Transport;

/// <content>How the process is started, replaced and stopped. They concern a host: a factory made by hand does not heed them.</content>
public sealed partial class NetpollTransportOptions
{
    /// <summary>
    /// Gets or sets whether systemd, or whoever else has set <c>NOTIFY_SOCKET</c>, is told that the service is ready (<c>READY=1</c>), when
    /// the host has started, and that it stops (<c>STOPPING=1</c>). For units with <c>Type=notify</c>. Without effect where the host tells
    /// it already: where <c>UseSystemd</c> or <c>AddSystemd</c> of <c>Microsoft.Extensions.Hosting.Systemd</c> was called.
    /// </summary>
    /// <value>The default is <see langword="false"/>.</value>
    public bool NotifySystemd { get; set; }
}
