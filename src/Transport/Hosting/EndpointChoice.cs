using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>What code has said of one endpoint, while Kestrel's options are set up. Not thread-safe until then.</summary>
internal sealed class EndpointChoice(ListenOptions listenOptions)
{
    private readonly List<Action<NetpollEndpointOptions>> _configure = [];

    /// <summary>What was said last; null if nobody has said anything.</summary>
    internal bool? UsesNetpoll { get; private set; }

    internal bool HasOptions => _configure.Count != 0;

    internal void UseNetpoll(Action<NetpollEndpointOptions>? configure)
    {
        UsesNetpoll = true;
        if (configure is not null)
        {
            _configure.Add(configure);
        }
    }

    internal void UseSockets() => UsesNetpoll = false;

    internal void Configure(NetpollEndpointOptions options) => _configure.ForEach(configure => configure(options));

    /// <summary>
    /// May this be what Kestrel makes of the endpoint? It is the same object; only localhost is bound as two others, which have its port.
    /// </summary>
    internal bool IsFor(EndPoint endPoint) =>
        ReferenceEquals(endPoint, listenOptions.EndPoint)
        || (endPoint is IPEndPoint { Port: not 0 } address
            && IPAddress.IsLoopback(address.Address)
            && listenOptions.EndPoint is IPEndPoint localhost
            && localhost.Port == address.Port);
}
