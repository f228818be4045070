using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>Answers the requests for the page, and for the report that it shows.</summary>
/// <param name="services">The host's.</param>
/// <param name="source">The transport; null: the host has none.</param>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore makes no handle unless one asks for it, and nobody does.")]
internal sealed class StateEndpoints(IServiceProvider services, StateSource? source)
{
    // What only a look needs is made at the first one.
    private readonly Lazy<PageDocument> _page = new(static () => new PageDocument());
    private readonly Lazy<StateReporter> _reporter = new(() => new StateReporter(source));

    // One report is made at a time: each walks over all connections, however many ask.
    private readonly SemaphoreSlim _asking = new(1);

    /// <summary>The page, for people.</summary>
    internal Task GetPageAsync(HttpContext context)
    {
        PageDocument page = _page.Value;
        SetHeaders(context.Response.Headers, page.ContentSecurityPolicy);
        context.Response.ContentType = "text/html; charset=utf-8";
        context.Response.ContentLength = page.Html.Length;
        return context.Response.Body.WriteAsync(page.Html, context.RequestAborted).AsTask();
    }

    /// <summary>The report, for machines.</summary>
    internal async Task GetStateAsync(HttpContext context)
    {
        SetHeaders(context.Response.Headers, "default-src 'none'; frame-ancestors 'none'");
        if (ConnectionQuery.Parse(context.Request.Query, out string? mistake) is not { } query)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            context.Response.ContentType = "text/plain; charset=utf-8";
            await context.Response.WriteAsync(mistake!, context.RequestAborted).ConfigureAwait(false);
            return;
        }

        var request = new RequestFacts(context.Connection.Id, context.Features.Get<INetpollTransportFeature>() is not null);
        StateReport report;
        try
        {
            await _asking.WaitAsync(context.RequestAborted).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Nobody waits for it any more.
            return;
        }

        try
        {
            report = _reporter.Value.Create(query, LookAtServer(), request);
        }
        finally
        {
            _asking.Release();
        }

        await context.Response.WriteAsJsonAsync(report, StateJson.Default.StateReport, contentType: null, context.RequestAborted)
            .ConfigureAwait(false);
    }

    // Nobody on the way keeps what is true for a moment, or shows as a page what is none.
    private static void SetHeaders(IHeaderDictionary headers, string policy)
    {
        headers.CacheControl = "no-store";
        headers.ContentSecurityPolicy = policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
    }

    // The one that was registered last is asked first.
    private ServerFacts LookAtServer() => new(
        [.. services.GetService<IServer>()?.Features.Get<IServerAddressesFeature>()?.Addresses ?? []],
        [.. services.GetServices<IConnectionListenerFactory>().Reverse().Select(static factory => factory.GetType().Name)]);
}
