using System.Net;
using KestrelNetpoll.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>Says once that the kernel has no Multipath TCP: what it lacks, it lacks for all endpoints. Thread-safe.</summary>
internal sealed class MultipathNotice(ILogger logger)
{
    // 0 until it has been said, then 1.
    private int _said;

    /// <summary>After binding. Sockets that others have bound are none of the option's.</summary>
    internal void LogIfMissing(EndPoint endPoint, BoundSockets sockets, NetpollEndpointOptions options)
    {
        if (options.MultipathTcp
            && endPoint is IPEndPoint
            && options.CreateBoundListenSocket == NetpollTransportOptions.CreateDefaultBoundListenSocket
            && !sockets.Sockets[0].IsMultipath
            && Interlocked.Exchange(ref _said, 1) == 0)
        {
            NetpollTransportLog.NoMultipathTcp(logger, sockets.LocalEndPoint);
        }
    }
}
