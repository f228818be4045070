using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

/// <summary>Two connected Unix sockets, neither of which blocks.</summary>
internal static class SocketPair
{
    internal static (int First, int Second) Open()
    {
        SystemCalls.Instance.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, 0, out int first, out int second)
            .ThrowIfError("socketpair");
        return (first, second);
    }

    /// <summary>The first end is registered with the group.</summary>
    internal static (StreamSocket Socket, int Peer) Open(WorkerGroup group)
    {
        (int first, int second) = Open();
        var socket = new StreamSocket(first, group, SystemCalls.Instance);
        socket.Start();
        return (socket, second);
    }

    /// <summary>Sends all of it, which must fit into the socket's buffer.</summary>
    internal static void Send(int fd, ReadOnlySpan<byte> bytes)
    {
        int sent = SystemCalls.Instance.Send(fd, bytes, flags: 0).ThrowIfError("send");
        if (sent != bytes.Length)
        {
            throw new InvalidOperationException($"The socket took {sent} of {bytes.Length} bytes.");
        }
    }

    /// <summary>Receives exactly <paramref name="count"/> bytes, which must be there.</summary>
    internal static void Receive(int fd, Span<byte> buffer, int count)
    {
        while (count > 0)
        {
            count -= SystemCalls.Instance.Recv(fd, buffer, flags: 0).ThrowIfError("recv");
        }
    }

    /// <summary>What the call returned. A call that fails ends the benchmark: its time would be that of something else.</summary>
    internal static int ThrowIfError(this SyscallResult result, string call) =>
        result.IsSuccess ? result.Value : throw SystemErrors.ToIOException(result.Errno, call);
}
