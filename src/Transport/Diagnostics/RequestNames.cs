using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// Knows which request each thread is handling: also after an await, and with several requests on one connection. It goes with the
/// execution context, and each thread notes what comes to it; only so can another thread see it. That costs a little for each request and
/// for each await, so only those pay who ask for it.
/// </summary>
internal sealed class RequestNames
{
    private readonly AsyncLocal<RequestName?> _current;

    // Not a ThreadLocal: it has to be read from other threads, and forgotten with the thread.
    private readonly ConditionalWeakTable<Thread, StrongBox<RequestName?>> _threads = [];

    internal RequestNames() => _current = new AsyncLocal<RequestName?>(OnChanged);

    /// <summary>In front of the application's pipeline. What it sets ends with it, as it does in any async method.</summary>
    internal async Task InvokeAsync(HttpContext context, RequestDelegate pipeline)
    {
        var name = new RequestName(context);
        _current.Value = name;
        try
        {
            // Nothing follows that could care where it runs; a captured context keeps the request on its workers.
            await pipeline(context);
        }
        finally
        {
            // Timers, and whatever else the request has begun, keep its execution context.
            name.End();
        }
    }

    /// <summary>What a thread is handling now; null: nothing that has a name. Any thread.</summary>
    internal RequestName? Find(Thread thread) =>
        _threads.TryGetValue(thread, out StrongBox<RequestName?>? box) && Volatile.Read(ref box.Value) is { HasEnded: false } name
            ? name
            : null;

    private void OnChanged(AsyncLocalValueChangedArgs<RequestName?> change)
    {
        StrongBox<RequestName?> box = _threads.GetValue(Thread.CurrentThread, static _ => new StrongBox<RequestName?>());
        Volatile.Write(ref box.Value, change.CurrentValue);
    }
}

/// <summary>A request. Only the route is looked up later, since it is not known at the beginning. Any thread.</summary>
internal sealed class RequestName(HttpContext context)
{
    // Null: it has ended. Others may keep this for longer, and are not to keep the request, nor its connection.
    private volatile HttpContext? _context = context;
    private volatile ITurnSubject? _connection = context.Features.Get<IConnectionSocketFeature>() as ITurnSubject;

    internal bool HasEnded => _context is null;

    internal string Method { get; } = context.Request.Method;

    /// <summary>Null: it came on another transport, or has ended.</summary>
    internal ITurnSubject? Connection => _connection;

    internal string Path { get; } = context.Request.PathBase.Add(context.Request.Path).Value ?? "";

    /// <summary>Of whatever the context serves now: only if the request has not ended afterwards is it the request's.</summary>
    internal string? Route
    {
        get
        {
            try
            {
                return _context?.GetEndpoint() switch
                {
                    RouteEndpoint route => route.RoutePattern.RawText,
                    { } endpoint => endpoint.DisplayName,
                    null => null,
                };
            }
            catch (Exception)
            {
                // It may be ending, and be taken apart meanwhile.
                return null;
            }
        }
    }

    internal void End()
    {
        _context = null;
        _connection = null;
    }
}
