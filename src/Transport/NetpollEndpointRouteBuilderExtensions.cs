using System.Diagnostics.CodeAnalysis;
using KestrelNetpoll.Transport;
using KestrelNetpoll.Transport.StatePage;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Shows what the netpoll transport does, to people and to machines.</summary>
public static class NetpollEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps a page that shows what the netpoll transport does at the moment, and the report that it is made from, as JSON: the page at
    /// <paramref name="pattern"/>, the report at <c>state</c> below it. Nothing of it is there unless this is called.
    /// </summary>
    /// <remarks>
    /// <para><b>Sensitive.</b> It shows the addresses of clients, the endpoints of the server, and requests that block. Each report looks
    /// at all open connections, one report at a time. Let only those see it who operate the server: <c>RequireAuthorization</c>, or a
    /// port that only they reach. (<c>RequireHost</c> is no protection: it looks at what the client says.) Both endpoints have what is done
    /// to the builder that this returns.</para>
    /// <para>Also where another transport serves everything, or the host has no netpoll transport: then the page says so. From this call
    /// on, the blocked turns that were told of last are kept, 64 of them. Everything else is looked at when somebody asks for it.</para>
    /// </remarks>
    /// <param name="endpoints">Where to map it, such as a <c>WebApplication</c>. Not thread-safe.</param>
    /// <param name="pattern">The route of the page.</param>
    /// <returns>A builder for conventions of both endpoints.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="endpoints"/> or <paramref name="pattern"/> is null.</exception>
    public static IEndpointConventionBuilder MapNetpollDiagnostics(
        this IEndpointRouteBuilder endpoints, [StringSyntax("Route")] string pattern = "/netpoll")
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(pattern);
        StateSource? source = endpoints.ServiceProvider.GetService<NetpollTransportFactory>()?.CreateStateSource();
        var state = new StateEndpoints(endpoints.ServiceProvider, source);
        RouteGroupBuilder group = endpoints.MapGroup(pattern);

        // A cache in the server does not look at no-store in the response. What asks every two seconds is no load to measure.
        group.WithMetadata(new OutputCacheAttribute { NoStore = true }).DisableHttpMetrics();
        group.MapGet("", state.GetPageAsync).WithDisplayName("netpoll state, page").ExcludeFromDescription();
        group.MapGet("state", state.GetStateAsync).WithDisplayName("netpoll state, JSON").ExcludeFromDescription();
        return group;
    }
}
