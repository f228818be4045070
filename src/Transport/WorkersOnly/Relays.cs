using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.WorkersOnly;

/// <summary>
/// The asynchronous methods between the transport and the application's reads (Kestrel's request body, web sockets) that take their state
/// from a pool. What such a method returns posts its awaiter's continuation to the captured context, always, even from within; ordinary
/// ones go on inline there. Without this a read of a body, or of a message of a web socket, would cost two hops. Thread-safe.
/// </summary>
/// <remarks>If the framework should name its types differently one day, reads take those hops again; nothing else happens.</remarks>
internal sealed class Relays
{
    private static readonly Assembly Kestrel = typeof(KestrelServer).Assembly;
    private static readonly Assembly WebSockets = typeof(WebSocket).Assembly;

    private readonly ConcurrentDictionary<Type, bool> _known = new();

    /// <summary>Is that the state of such a method?</summary>
    internal bool Contain(object continuationState) => _known.GetOrAdd(continuationState.GetType(), static type => IsRelay(type));

    // PoolingAsyncValueTaskMethodBuilder<TResult>.StateMachineBox<TStateMachine>, which is private.
    private static bool IsRelay(Type type)
    {
        if (type.DeclaringType != typeof(PoolingAsyncValueTaskMethodBuilder<>))
        {
            return false;
        }

        Assembly method = type.GenericTypeArguments[^1].Assembly;
        return method == Kestrel || method == WebSockets;
    }
}
