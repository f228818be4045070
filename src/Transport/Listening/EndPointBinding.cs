using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>From an endpoint and the options to sockets that listen.</summary>
internal static class EndPointBinding
{
    /// <exception cref="SocketException">The kernel refuses.</exception>
    internal static BoundSockets Bind(NetpollRuntime runtime, EndPoint endPoint, NetpollEndpointOptions options)
    {
        ListenSocketOptions settings = ToListenSocketOptions(options);
        if (endPoint is FileHandleEndPoint handle)
        {
            SocketActivation.ProtectIfActivated(runtime, handle.FileHandle);
        }

        // Compared with the method itself: a function that only calls it may do more.
        if (options.CreateBoundListenSocket != NetpollTransportOptions.CreateDefaultBoundListenSocket)
        {
            const string Option = $"{nameof(NetpollTransportOptions)}.{nameof(options.CreateBoundListenSocket)}";
            Socket socket = options.CreateBoundListenSocket(endPoint)
                ?? throw new InvalidOperationException($"{Option} returned null for {endPoint}.");
            settings = settings with { LeavesListener = endPoint is FileHandleEndPoint };
            return BoundSockets.TakeOver(runtime, socket, $"the socket that {Option} made for {endPoint}", settings);
        }

        return endPoint is FileHandleEndPoint given
            ? BoundSockets.Borrow(runtime, ToDescriptor(given), settings)
            : BoundSockets.Bind(runtime, endPoint, settings, options.AcceptStrategy);
    }

    /// <summary>Goes on with what another process has bound.</summary>
    /// <exception cref="SocketException">The kernel refuses.</exception>
    internal static BoundSockets Inherit(
        NetpollRuntime runtime, ReceivedDescriptors descriptors, bool isOwn, NetpollTransportOptions options) =>
        BoundSockets.Inherit(runtime, descriptors, isOwn, ToListenSocketOptions(options));

    private static ListenSocketOptions ToListenSocketOptions(NetpollEndpointOptions options) => new()
    {
        Backlog = options.Backlog,
        NoDelay = options.NoDelay,
        ReusePort = options.ReusePort,
        KeepAliveIdleSeconds = ToSeconds(options.TcpKeepAliveTime),
        KeepAliveIntervalSeconds = ToSeconds(options.TcpKeepAliveInterval),
        KeepAliveCount = options.TcpKeepAliveRetryCount,
        UserTimeoutMilliseconds = (int?)options.UserTimeout?.TotalMilliseconds,
        DeferAcceptSeconds = ToSeconds(options.DeferAccept),
        FastOpenQueue = options.FastOpen,
        ReceiveBufferSize = options.ReceiveBufferSize,
        SendBufferSize = options.SendBufferSize,
        UnixSocketMode = options.UnixSocketMode,
        ReplaceStaleUnixSocket = options.ReplaceStaleUnixSocket,
        FreeBind = options.FreeBind,
        BindToDevice = options.BindToDevice,
        Mark = options.Mark,
        TypeOfService = options.TypeOfService,
        MultipathTcp = options.MultipathTcp,
    };

    private static int? ToSeconds(TimeSpan? span) => span is { } given ? (int)Math.Ceiling(given.TotalSeconds) : null;

    private static int ToDescriptor(FileHandleEndPoint handle) => handle.FileHandle <= int.MaxValue
        ? (int)handle.FileHandle
        : throw SystemErrors.ToSocketException(Errno.EBADF, $"file handle {handle.FileHandle}");
}
