using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Limits;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelNetpoll.Transport.HandOver;

/// <summary>
/// In front of the application: lets connections end with a request, once another process serves. Of HTTP/1.1 the response says so, and
/// the client's next request is on a new connection. HTTP/2 has a message of its own for that (GOAWAY), which Kestrel sends.
/// </summary>
internal sealed class DrainMiddleware(HandOverService service, RequestDelegate next)
{
    internal Task InvokeAsync(HttpContext context)
    {
        string protocol = context.Request.Protocol;
        if (HttpProtocol.IsHttp2(protocol))
        {
            OnHttp2(context);
        }
        else if (service.IsDraining && HttpProtocol.IsHttp11(protocol)
            && context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true })
        {
            context.Response.Headers.Connection = "close";
        }

        return next(context);
    }

    private void OnHttp2(HttpContext context)
    {
        if (context.Features.Get<IConnectionTransportFeature>() is not NetpollConnection connection)
        {
            return;
        }

        if (!connection.IsMultiplexed)
        {
            // Either the drain, which begins now, finds it marked, or it is seen here that it has begun.
            connection.IsMultiplexed = true;
            Interlocked.MemoryBarrier();
        }

        if (service.IsDraining)
        {
            ((IWatchedConnection)connection).TryRequestClose();
        }
    }
}
