using System.Net;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>What the options say is true of the accepted sockets, which are what counts.</summary>
[OneMode]
public class SocketOptionTests
{
    private static readonly NetpollTransportOptions Everything = new()
    {
        NoDelay = false,
        TcpKeepAliveTime = TimeSpan.FromSeconds(77),
        TcpKeepAliveInterval = TimeSpan.FromMilliseconds(4500),
        TcpKeepAliveRetryCount = 3,
        UserTimeout = TimeSpan.FromMilliseconds(12_345),
        ReceiveBufferSize = 20_000,
        SendBufferSize = 30_000,
    };

    public static TheoryData<string, int, int, int> Given => new()
    {
        { nameof(LibC.TCP_NODELAY), LibC.IPPROTO_TCP, LibC.TCP_NODELAY, 0 },
        { nameof(LibC.SO_KEEPALIVE), LibC.SOL_SOCKET, LibC.SO_KEEPALIVE, 1 },
        { nameof(LibC.TCP_KEEPIDLE), LibC.IPPROTO_TCP, LibC.TCP_KEEPIDLE, 77 },
        { nameof(LibC.TCP_KEEPINTVL), LibC.IPPROTO_TCP, LibC.TCP_KEEPINTVL, 5 },
        { nameof(LibC.TCP_KEEPCNT), LibC.IPPROTO_TCP, LibC.TCP_KEEPCNT, 3 },
        { nameof(LibC.TCP_USER_TIMEOUT), LibC.IPPROTO_TCP, LibC.TCP_USER_TIMEOUT, 12_345 },
        { nameof(LibC.SO_RCVBUF), LibC.SOL_SOCKET, LibC.SO_RCVBUF, 40_000 },
        { nameof(LibC.SO_SNDBUF), LibC.SOL_SOCKET, LibC.SO_SNDBUF, 60_000 },
    };

    public static TheoryData<string, int, int, int> NotGiven => new()
    {
        { nameof(LibC.TCP_NODELAY), LibC.IPPROTO_TCP, LibC.TCP_NODELAY, 1 },
        { nameof(LibC.SO_KEEPALIVE), LibC.SOL_SOCKET, LibC.SO_KEEPALIVE, 0 },
        { nameof(LibC.TCP_USER_TIMEOUT), LibC.IPPROTO_TCP, LibC.TCP_USER_TIMEOUT, 0 },
    };

    [Theory]
    [MemberData(nameof(Given))]
    public async Task An_accepted_socket_has_the_option(string name, int level, int option, int expected) =>
        Assert.Equal((name, expected), (name, await AcceptedValueAsync(Everything, level, option)));

    [Theory]
    [MemberData(nameof(NotGiven))]
    public async Task By_default_it_has_not(string name, int level, int option, int expected) =>
        Assert.Equal((name, expected), (name, await AcceptedValueAsync(new NetpollTransportOptions(), level, option)));

    [Fact]
    public async Task A_deferred_accept_comes_with_the_first_byte()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { DeferAccept = TimeSpan.FromSeconds(30) });
        Task<NetpollConnection> accepting = harness.AcceptAsync();
        using RawClient client = await harness.ConnectClientAsync();
        await Task.Delay(50);
        Assert.False(accepting.IsCompleted);

        await client.SendAsync("x");

        await using NetpollConnection connection = await accepting;
    }

    [Fact]
    public async Task The_kernel_takes_a_fast_open_queue()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(options: new NetpollTransportOptions { FastOpen = 16 });
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task What_the_kernel_refuses_is_named()
    {
        var kernel = new RefusingSystemCalls();
        System.Net.Sockets.SocketException e = await Assert.ThrowsAsync<System.Net.Sockets.SocketException>(
            () => TransportHarness.StartAsync(kernel, new NetpollTransportOptions { FastOpen = 16 }));

        Assert.Contains("setsockopt(TCP_FASTOPEN, 16) for 127.0.0.1:0", e.Message, StringComparison.Ordinal);
    }

    private static async Task<int> AcceptedValueAsync(NetpollTransportOptions options, int level, int option)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        int fd = (int)((IConnectionSocketFeature)connection).Socket.Handle;
        Assert.True(SystemCalls.Instance.GetSockOpt(fd, level, option, out int value).IsSuccess);
        await connection.DisposeAsync().InTime();
        client.Dispose();
        return value;
    }

    private sealed class RefusingSystemCalls : SystemCalls
    {
        protected internal override SyscallResult SetSockOptOnce(int fd, int level, int option, int value) =>
            option == LibC.TCP_FASTOPEN ? SyscallResult.Failure(Errno.EOPNOTSUPP) : base.SetSockOptOnce(fd, level, option, value);
    }
}
