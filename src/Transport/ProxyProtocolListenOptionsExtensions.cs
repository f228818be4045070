using KestrelNetpoll.Transport;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.ProxyProtocol;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>Lets an endpoint of Kestrel understand the PROXY protocol.</summary>
public static class ProxyProtocolListenOptionsExtensions
{
    /// <summary>
    /// Reads the PROXY protocol header, version 1 or 2, at the beginning of every connection of the endpoint. The connection's remote and
    /// local endpoints become what the header says, and <see cref="IProxyProtocolFeature"/> has all of it. Works with any transport.
    /// </summary>
    /// <remarks>
    /// To be called before <c>UseHttps</c>: the header comes before TLS. HTTP/3 connections, which have no header, are not concerned.
    /// Whoever is not trusted or sends something else is disconnected, and a line at level Debug says why.
    /// </remarks>
    /// <param name="listenOptions">The endpoint.</param>
    /// <param name="configure">Sets options; null leaves the defaults, which trust proxies on the same machine only.</param>
    /// <returns>The same endpoint.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="listenOptions"/> is null.</exception>
    /// <exception cref="OptionsValidationException">An option is out of its range; the message names it.</exception>
    public static ListenOptions UseProxyProtocol(this ListenOptions listenOptions, Action<ProxyProtocolOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(listenOptions);
        var options = new ProxyProtocolOptions();
        configure?.Invoke(options);
        options.Validate();

        ILoggerFactory loggers = listenOptions.ApplicationServices?.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance;
        var settings = new ProxyProtocolSettings(options, new QuietLogger(loggers.CreateLogger(ProxyProtocolLog.Category)));
        listenOptions.Use(next => new ProxyProtocolMiddleware(next, settings).OnConnectionAsync);
        return listenOptions;
    }
}
