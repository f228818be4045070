using KestrelNetpoll.Transport;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Perf.Server;

/// <summary>Names the transport that really serves a request, not the one that was asked for.</summary>
internal sealed class TransportName(IOptions<SocketTransportOptions> sockets)
{
    internal string Of(HttpContext context) => context.Features.Get<INetpollTransportFeature>()?.Transport ?? Sockets;

    internal string Sockets => sockets.Value.UnsafePreferInlineScheduling ? "sockets-inline" : "sockets";
}
