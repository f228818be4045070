using System.Net;
using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>Sockets against the real kernel.</summary>
public sealed class SystemCallsSocketTests : IDisposable
{
    private const int IPv4Length = 16;

    private static readonly SystemCalls Kernel = SystemCalls.Instance;

    private readonly OwnedDescriptors _owned = new();

    public void Dispose() => _owned.Dispose();

    [Fact]
    public unsafe void A_socket_pair_sends_peeks_and_ends()
    {
        (int first, int second) = NewSocketPair();
        byte[] sent = GC.AllocateArray<byte>(5, pinned: true);
        "hello"u8.CopyTo(sent);
        iovec[] buffers =
        [
            new() { iov_base = Unsafe.AsPointer(ref sent[0]), iov_len = 2 },
            new() { iov_base = Unsafe.AsPointer(ref sent[2]), iov_len = 3 },
        ];
        byte[] received = new byte[16];

        Assert.True(Kernel.Recv(second, received, 0).WouldBlock);
        Assert.Equal(5, Kernel.SendMsg(first, buffers, 0).Value);
        Assert.Equal(1, Kernel.Recv(second, received.AsSpan(0, 1), TestLibC.MSG_PEEK).Value);
        Assert.Equal(5, Kernel.Recv(second, received, 0).Value);
        Assert.Equal("hello"u8, received.AsSpan(0, 5));

        Assert.True(Kernel.Shutdown(first, LibC.SHUT_WR).IsSuccess);
        SyscallResult end = Kernel.Recv(second, received, 0);
        Assert.True(end.IsSuccess);
        Assert.Equal(0, end.Value);
        Assert.Equal(5, Kernel.Send(second, sent, 0).Value);
        Assert.Equal(5, Kernel.Recv(first, received, 0).Value);
    }

    [Fact]
    public void Empty_buffers_are_harmless()
    {
        (int first, int second) = NewSocketPair();

        Assert.Equal(0, Kernel.Send(first, [], 0).Value);
        Assert.Equal(0, Kernel.SendMsg(first, [], 0).Value);
        Assert.True(Kernel.Recv(second, new byte[1], 0).WouldBlock);
        Assert.Equal(Errno.EINVAL, Kernel.Bind(first, []).Errno);
        Assert.Equal(Errno.EINVAL, Kernel.Connect(first, []).Errno);
    }

    [Fact]
    public void Sending_to_a_peer_that_is_gone_is_EPIPE_and_no_signal()
    {
        (int first, int second) = NewSocketPair();

        Assert.True(_owned.Close(second).IsSuccess);

        Assert.Equal(Errno.EPIPE, Kernel.Send(first, "x"u8, 0).Errno);
    }

    [Fact]
    public void A_connection_is_accepted_and_both_ends_know_their_addresses()
    {
        int listener = _owned.Own(Kernel.Socket(LibC.AF_INET, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, LibC.IPPROTO_TCP));
        byte[] address = new byte[SocketAddresses.MaxLength];
        Assert.True(Kernel.SetSockOpt(listener, LibC.SOL_SOCKET, LibC.SO_REUSEADDR, 1).IsSuccess);
        Assert.True(Kernel.Bind(listener, SocketAddresses.ToBytes(new IPEndPoint(IPAddress.Loopback, 0))).IsSuccess);
        Assert.True(Kernel.Listen(listener, 8).IsSuccess);
        Assert.True(Kernel.Accept4(listener, address, out _, LibC.SOCK_NONBLOCK).WouldBlock);
        Assert.True(Kernel.GetSockName(listener, address, out int length).IsSuccess);
        Assert.Equal(IPv4Length, length);
        IPEndPoint bound = InternetAddress.Read(address)!;
        Assert.Equal(IPAddress.Loopback, bound.Address);
        Assert.NotEqual(0, bound.Port);

        int client = _owned.Own(Kernel.Socket(LibC.AF_INET, LibC.SOCK_STREAM, LibC.IPPROTO_TCP));
        Assert.True(Kernel.Connect(client, address.AsSpan(0, length)).IsSuccess);
        int server = _owned.Own(Kernel.Accept4(listener, address, out length, LibC.SOCK_NONBLOCK));

        Assert.Equal(IPv4Length, length);
        IPEndPoint peer = InternetAddress.Read(address)!;
        Assert.True(Kernel.GetSockName(client, address, out _).IsSuccess);
        Assert.Equal(peer, InternetAddress.Read(address));
        Assert.True(Kernel.GetPeerName(client, address, out _).IsSuccess);
        Assert.Equal(bound, InternetAddress.Read(address));
        Assert.NotEqual(0, Kernel.GetFlags(server).Value & LibC.O_NONBLOCK);

        // Closing with linger on and 0 seconds resets the connection.
        Assert.True(Kernel.SetLinger(server, on: true, seconds: 0).IsSuccess);
        Assert.True(_owned.Close(server).IsSuccess);
        Assert.Equal(Errno.ECONNRESET, Kernel.Recv(client, new byte[1], 0).Errno);
    }

    [Fact]
    public void An_accept_that_wants_no_address_gets_none()
    {
        int listener = _owned.Own(Kernel.Socket(LibC.AF_INET, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, LibC.IPPROTO_TCP));
        Span<byte> address = stackalloc byte[IPv4Length];
        Assert.True(Kernel.Listen(listener, 8).IsSuccess);
        Assert.True(Kernel.GetSockName(listener, address, out _).IsSuccess);
        int client = _owned.Own(Kernel.Socket(LibC.AF_INET, LibC.SOCK_STREAM, LibC.IPPROTO_TCP));
        Assert.True(Kernel.Connect(client, address).IsSuccess);

        _owned.Own(Kernel.Accept4(listener, [], out int length, 0));

        Assert.Equal(0, length);
    }

    [Fact]
    public void Socket_options_are_set_and_read()
    {
        int fd = _owned.Own(Kernel.Socket(LibC.AF_INET, LibC.SOCK_STREAM, LibC.IPPROTO_TCP));

        Assert.True(Kernel.SetSockOpt(fd, LibC.IPPROTO_TCP, LibC.TCP_NODELAY, 1).IsSuccess);
        Assert.True(Kernel.GetSockOpt(fd, LibC.IPPROTO_TCP, LibC.TCP_NODELAY, out int noDelay).IsSuccess);
        Assert.NotEqual(0, noDelay);
        Assert.True(Kernel.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_TYPE, out int type).IsSuccess);
        Assert.Equal(LibC.SOCK_STREAM, type);
        Assert.Equal(Errno.ENOPROTOOPT, Kernel.GetSockOpt(fd, LibC.SOL_SOCKET, -1, out _).Errno);
    }

    private (int First, int Second) NewSocketPair()
    {
        SyscallResult made = Kernel.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, 0, out int first, out int second);
        Assert.True(made.IsSuccess, made.ToString());
        return (_owned.Own(first), _owned.Own(second));
    }
}
