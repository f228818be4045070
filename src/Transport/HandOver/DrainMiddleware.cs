using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Limits;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.HandOver;

/// <summary>
/// In front of the application: lets connections end with a request, once another process serves. Of HTTP/1.1 the response says so, and
/// the client's next request is on a new connection. HTTP/2 has a message of its own for that (GOAWAY), which Kestrel sends.
/// </summary>
internal sealed class DrainMiddleware
{
    private readonly HandOverService _service;
    private readonly RequestDelegate _next;

    // For all requests: one more delegate, or an object of its state, for each would be garbage.
    private readonly Func<object, Task> _onStarting;

    internal DrainMiddleware(HandOverService service, RequestDelegate next)
    {
        _service = service;
        _next = next;
        _onStarting = OnStarting;
    }

    internal Task InvokeAsync(HttpContext context)
    {
        string protocol = context.Request.Protocol;
        if (HttpProtocol.IsHttp2(protocol))
        {
            OnHttp2(context);
        }
        else if (HttpProtocol.IsHttp11(protocol) || HttpProtocol.IsHttp10(protocol))
        {
            // The drain may begin while the request is served. What was registered first is called last: nobody clears it afterwards.
            context.Response.OnStarting(_onStarting, context);
        }

        return _next(context);
    }

    private Task OnStarting(object state)
    {
        HttpResponse response = ((HttpContext)state).Response;
        if (_service.IsDraining && response.StatusCode != StatusCodes.Status101SwitchingProtocols)
        {
            response.Headers.Connection = "close";
        }

        return Task.CompletedTask;
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

        if (_service.IsDraining)
        {
            ((IWatchedConnection)connection).TryRequestClose();
        }
    }
}
