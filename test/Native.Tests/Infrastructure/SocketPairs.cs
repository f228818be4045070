using System.Net;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>Connected sockets of one runtime.</summary>
internal static class SocketPairs
{
    internal static readonly IPEndPoint AnyPortV4 = new(IPAddress.Loopback, 0);
    internal static readonly IPEndPoint AnyPortV6 = new(IPAddress.IPv6Loopback, 0);

    internal static ListenSocket Listen(NetpollRuntime runtime, EndPoint? endPoint = null, int backlog = 512) =>
        ListenSocket.Listen(runtime, endPoint ?? AnyPortV4, new ListenSocketOptions { Backlog = backlog });

    /// <summary>A TCP connection over loopback, both ends ours and started.</summary>
    internal static async Task<(StreamSocket Client, StreamSocket Server)> ConnectAsync(NetpollRuntime runtime, EndPoint? endPoint = null)
    {
        ListenSocket listener = Listen(runtime, endPoint);
        try
        {
            StreamSocket client = await ConnectOperation.ConnectAsync(runtime, listener.LocalEndPoint).InTime();
            return (client, await listener.AcceptAsync().InTime());
        }
        finally
        {
            await listener.CloseAsync();
        }
    }

    /// <summary>A pair of Unix sockets: no ports, no handshake. Not started.</summary>
    internal static (StreamSocket First, StreamSocket Second) Create(NetpollRuntime runtime)
    {
        SyscallResult made = SystemCalls.Instance.SocketPair(
            LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, 0, out int first, out int second);
        Assert.True(made.IsSuccess, made.ToString());
        if (runtime.SystemCalls is ObservedKernel observed)
        {
            observed.Lend(first);
            observed.Lend(second);
        }

        return (new StreamSocket(first, runtime.NextGroup(), runtime.SystemCalls),
            new StreamSocket(second, runtime.NextGroup(), runtime.SystemCalls));
    }

    internal static (StreamSocket First, StreamSocket Second) CreateStarted(NetpollRuntime runtime)
    {
        (StreamSocket first, StreamSocket second) = Create(runtime);
        first.Start();
        second.Start();
        return (first, second);
    }
}
