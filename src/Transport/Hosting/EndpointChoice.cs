using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// What code has said of one endpoint, while Kestrel's options are set up, and whether that has come to effect. Not thread-safe until
/// Kestrel binds it.
/// </summary>
internal sealed class EndpointChoice(ListenOptions listenOptions)
{
    private readonly List<Action<NetpollEndpointOptions>> _configure = [];

    // As Kestrel prints it when it binds it first: what it tries next may have another address. Null until then.
    private volatile string? _name;

    // The transport has asked, for this endpoint.
    private volatile bool _isFound;

    /// <summary>What was said last; null if nobody has said anything.</summary>
    internal bool? UsesNetpoll { get; private set; }

    internal bool HasOptions => _configure.Count != 0;

    /// <summary>Kestrel has begun to bind the endpoint, and nobody has asked what code says of it.</summary>
    internal bool IsMissed => _name is not null && !_isFound;

    /// <summary>How code names the endpoint, more or less.</summary>
    internal string Name => _name ?? listenOptions.ToString()!;

    internal void UseNetpoll(Action<NetpollEndpointOptions>? configure)
    {
        UsesNetpoll = true;
        if (configure is not null)
        {
            _configure.Add(configure);
        }
    }

    internal void UseSockets() => UsesNetpoll = false;

    internal void OnBuilt() => _name ??= listenOptions.ToString();

    internal void OnFound() => _isFound = true;

    /// <exception cref="InvalidOperationException">The application's code has thrown.</exception>
    internal void Configure(NetpollEndpointOptions options)
    {
        try
        {
            _configure.ForEach(configure => configure(options));
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"UseNetpoll of endpoint {Name}: what sets the options has thrown: {e.Message}", e);
        }
    }

    /// <summary>
    /// May this be what Kestrel makes of the endpoint? It is the same object; only localhost is bound as two others, which have its port.
    /// </summary>
    internal bool IsFor(EndPoint endPoint) =>
        ReferenceEquals(endPoint, listenOptions.EndPoint)
        || (endPoint is IPEndPoint { Port: not 0 } address
            && IPAddress.IsLoopback(address.Address)
            && listenOptions.EndPoint is IPEndPoint localhost
            && IPAddress.IsLoopback(localhost.Address)
            && localhost.Port == address.Port);
}
