using KestrelNetpoll.Transport;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>Makes Kestrel serve its endpoints through the netpoll transport.</summary>
public static class NetpollWebHostBuilderExtensions
{
    /// <summary>
    /// Adds the netpoll transport, which then serves every endpoint it can, on Linux: TCP over IPv4 and IPv6, Unix domain sockets, and
    /// handles of either. The Sockets transport stays registered and serves all others, those that are left to it
    /// (<c>UseSocketsTransport</c>), and everything where netpoll cannot run; one log line then says why.
    /// </summary>
    /// <remarks>
    /// May be called before or after <c>UseKestrel</c>, and more than once: the transport is registered once, and each
    /// <paramref name="configure"/> is applied in order. Like every method of the builder it is not thread-safe.
    /// </remarks>
    /// <param name="hostBuilder">The builder of a host whose server is Kestrel.</param>
    /// <param name="configure">
    /// Sets options; null leaves what the configuration section <c>Kestrel:Netpoll</c> says, or else the defaults. Mistakes in the
    /// section, and values out of range, make the host's start fail with an <see cref="OptionsValidationException"/>.
    /// </param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="hostBuilder"/> is null.</exception>
    public static IWebHostBuilder UseNetpollTransport(this IWebHostBuilder hostBuilder, Action<NetpollTransportOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(hostBuilder);

        // Adds what Sockets needs, besides the transport itself.
        hostBuilder.UseSockets();
        return hostBuilder.ConfigureServices(services => services.AddNetpollTransport(configure));
    }
}
