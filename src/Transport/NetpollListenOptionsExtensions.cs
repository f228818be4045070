using KestrelNetpoll.Transport;
using KestrelNetpoll.Transport.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>Chooses the transport of one endpoint of Kestrel, and its options.</summary>
public static class NetpollListenOptionsExtensions
{
    /// <summary>
    /// Lets the netpoll transport serve this endpoint, if it can, with options of its own. It serves every endpoint anyway: to be called
    /// for the options, or for an endpoint to which <see cref="UseSocketsTransport"/> does not apply although it does to all by default
    /// (<see cref="KestrelServerOptions.ConfigureEndpointDefaults"/>). Of these two methods, the one that is called last counts.
    /// </summary>
    /// <remarks>
    /// <para>The options begin as the transport's (<see cref="NetpollTransportOptions"/>), and as the configuration section
    /// <c>Kestrel:Endpoints:NAME:Netpoll</c> changes them, if there is one. Where that says <c>false</c>, code wins, and a warning says
    /// so.</para>
    /// <para>Kestrel must know of the transport: <c>UseNetpollTransport</c>. Not thread-safe, like the endpoint. HTTP/3, which has a
    /// transport of its own, is not concerned.</para>
    /// </remarks>
    /// <param name="listenOptions">The endpoint.</param>
    /// <param name="configure">
    /// Changes options of this endpoint, when it is bound, and once for each address if it has several, as localhost has; null changes
    /// none. What is wrong makes the bind fail with an <see cref="OptionsValidationException"/>, and so the host's start; what it throws
    /// does so, too, within an <see cref="InvalidOperationException"/> that names the endpoint.
    /// </param>
    /// <returns>The same endpoint.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="listenOptions"/> is null.</exception>
    /// <exception cref="InvalidOperationException">The netpoll transport was not added to the host.</exception>
    public static ListenOptions UseNetpoll(this ListenOptions listenOptions, Action<NetpollEndpointOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(listenOptions);
        EndpointTable endpoints = FindTable(listenOptions) ?? throw new InvalidOperationException(
            $"{nameof(UseNetpoll)} needs the netpoll transport: call "
            + $"{nameof(NetpollWebHostBuilderExtensions.UseNetpollTransport)} of the web host's builder, or "
            + $"{nameof(NetpollServiceCollectionExtensions.AddNetpollTransport)} of its services.");
        endpoints.ChoiceOf(listenOptions).UseNetpoll(configure);
        return listenOptions;
    }

    /// <summary>
    /// Leaves this endpoint to Kestrel's Sockets transport, or to whichever was registered before netpoll and takes it, while the others
    /// stay on netpoll. Of this method and <see cref="UseNetpoll"/>, the one that is called last counts. Without effect where the netpoll
    /// transport was not added to the host.
    /// </summary>
    /// <remarks>
    /// The same in the configuration: <c>"Netpoll": false</c> in the section of the endpoint, <c>Kestrel:Endpoints:NAME</c>. Where that
    /// says otherwise, code wins, and a warning says so. Not thread-safe, like the endpoint.
    /// </remarks>
    /// <param name="listenOptions">The endpoint.</param>
    /// <returns>The same endpoint.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="listenOptions"/> is null.</exception>
    public static ListenOptions UseSocketsTransport(this ListenOptions listenOptions)
    {
        ArgumentNullException.ThrowIfNull(listenOptions);
        FindTable(listenOptions)?.ChoiceOf(listenOptions).UseSockets();
        return listenOptions;
    }

    private static EndpointTable? FindTable(ListenOptions listenOptions) =>
        listenOptions.ApplicationServices?.GetService<EndpointTable>();
}
