using System.Globalization;
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
    // Of the socket activation protocol: the inherited descriptors are 3 and following, if the process is the one meant.
    private const string ActivationPid = "LISTEN_PID";
    private const string ActivationCount = "LISTEN_FDS";
    private const int FirstActivated = 3;

    /// <exception cref="SocketException">The kernel refuses.</exception>
    internal static BoundSockets Bind(NetpollRuntime runtime, EndPoint endPoint, NetpollTransportOptions options)
    {
        ListenSocketOptions settings = ToListenSocketOptions(options);
        if (endPoint is FileHandleEndPoint handle)
        {
            ProtectIfActivated(runtime.SystemCalls, handle);
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
            : BoundSockets.Bind(runtime, endPoint, settings);
    }

    private static ListenSocketOptions ToListenSocketOptions(NetpollTransportOptions options) => new()
    {
        Backlog = options.Backlog,
        NoDelay = options.NoDelay,
        ReusePort = options.AcceptStrategy == AcceptStrategy.ReusePort,
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

    /// <summary>
    /// A service manager passes its sockets open across exec, and it is the receiver's part to keep them from the processes that it starts
    /// itself, as sd_listen_fds does. Other handles are left as their owner wants them.
    /// </summary>
    private static void ProtectIfActivated(SystemCalls systemCalls, FileHandleEndPoint handle)
    {
        if (int.TryParse(Environment.GetEnvironmentVariable(ActivationPid), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
            && pid == Environment.ProcessId
            && uint.TryParse(Environment.GetEnvironmentVariable(ActivationCount), NumberStyles.None, CultureInfo.InvariantCulture, out uint count)
            && handle.FileHandle >= FirstActivated
            && handle.FileHandle - FirstActivated < count)
        {
            systemCalls.SetFdFlags(ToDescriptor(handle), LibC.FD_CLOEXEC);
        }
    }
}
