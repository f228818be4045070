using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Socket options that depend on the network's setup: what accepted sockets have of them.</summary>
[OneMode]
public class NetworkSocketOptionTests
{
    private const string NeedsRoot = "Needs root (CAP_NET_ADMIN).";

    // Of a network that is nobody's (TEST-NET-1).
    private static readonly IPEndPoint Foreign = new(IPAddress.Parse("192.0.2.7"), 0);

    public static TheoryData<string, int, int> ClassOfService => new()
    {
        { "127.0.0.1", LibC.IPPROTO_IP, LibC.IP_TOS },
        { "::1", LibC.IPPROTO_IPV6, LibC.IPV6_TCLASS },
    };

    [Theory]
    [MemberData(nameof(ClassOfService))]
    public async Task A_class_of_service_is_that_of_the_connections(string address, int level, int option)
    {
        Assert.SkipUnless(address != "::1" || Socket.OSSupportsIPv6, "There is no IPv6 here.");
        int value = await AcceptedValueAsync(new NetpollTransportOptions { TypeOfService = 0xB8 }, IPAddress.Parse(address), level, option);

        Assert.Equal(0xB8, value);
    }

    [Fact]
    public async Task A_mark_is_that_of_the_connections()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, NeedsRoot);
        int value = await AcceptedValueAsync(
            new NetpollTransportOptions { Mark = 0xFEDC_BA98 }, IPAddress.Loopback, LibC.SOL_SOCKET, LibC.SO_MARK);

        Assert.Equal(0xFEDC_BA98, unchecked((uint)value));
    }

    [Fact]
    public async Task Both_are_set_on_each_connection_of_a_handle_and_not_on_the_handle()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, NeedsRoot);
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var options = new NetpollTransportOptions
        {
            Mark = 7,
            TypeOfService = 0x20,
            FreeBind = true,
            BindToDevice = "lo",
            MultipathTcp = true,
        };
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: options, endPoint: new FileHandleEndPoint((ulong)listener.Handle, FileHandleType.Tcp));
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;

        Assert.Equal((7, 0x20), (Read(connection, LibC.SOL_SOCKET, LibC.SO_MARK), Read(connection, LibC.IPPROTO_IP, LibC.IP_TOS)));
        Assert.True(SystemCalls.Instance.GetSockOpt((int)listener.Handle, LibC.SOL_SOCKET, LibC.SO_MARK, out int mark).IsSuccess);
        Assert.Equal(0, mark);
        Assert.Empty(harness.Logs.Of(TransportKind.Netpoll, 133));
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public async Task An_address_that_the_machine_does_not_have_is_bound_if_that_is_wanted()
    {
        await Assert.ThrowsAsync<SocketException>(
            () => TransportHarness.StartAsync(options: new NetpollTransportOptions(), endPoint: Foreign));

        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { FreeBind = true }, endPoint: Foreign);

        Assert.Equal(Foreign.Address, ((IPEndPoint)harness.Listener.EndPoint).Address);
    }

    [Fact]
    public async Task So_is_one_of_IPv6()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "There is no IPv6 here.");
        var foreign = new IPEndPoint(IPAddress.Parse("2001:db8::7"), 0);
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { FreeBind = true }, endPoint: foreign);

        Assert.Equal(foreign.Address, ((IPEndPoint)harness.Listener.EndPoint).Address);
    }

    [Fact]
    public async Task Connections_come_through_the_device()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { BindToDevice = "lo" });
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;
        byte[] name = new byte[16];
        int fd = (int)((IConnectionSocketFeature)connection).Socket.Handle;

        Assert.True(SystemCalls.Instance.GetSockOptBytes(fd, LibC.SOL_SOCKET, LibC.SO_BINDTODEVICE, name, out int length).IsSuccess);
        Assert.Equal("lo", Encoding.ASCII.GetString(name, 0, length).TrimEnd('\0'));
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public async Task A_device_that_there_is_not_is_named()
    {
        SocketException e = await Assert.ThrowsAsync<SocketException>(
            () => TransportHarness.StartAsync(options: new NetpollTransportOptions { BindToDevice = "nosuch0" }));

        Assert.Contains("setsockopt(SO_BINDTODEVICE, nosuch0) for 127.0.0.1:0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Multipath_TCP_serves_those_that_speak_it_and_those_that_do_not()
    {
        Assert.SkipUnless(HasMultipath(), "The kernel has no Multipath TCP, or it is turned off (net.mptcp.enabled).");
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static setup => setup.Netpoll = static options =>
        {
            options.MultipathTcp = true;
            options.TcpKeepAliveTime = TimeSpan.FromSeconds(60);
        });
        foreach (int protocol in new[] { LibC.IPPROTO_MPTCP, LibC.IPPROTO_TCP })
        {
            SyscallResult created = SystemCalls.Instance.Socket(LibC.AF_INET, LibC.SOCK_STREAM, protocol);
            Assert.True(created.IsSuccess);
            using RawClient client = RawClient.Create(new Socket(new SafeSocketHandle(created.Value, ownsHandle: true)));
            await client.Socket.ConnectAsync(server.EndPoint).InTime();
            for (int i = 0; i < 100; i++)
            {
                await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
            }
        }

        Assert.Empty(server.Logs.Of(TransportKind.Netpoll, 133));
    }

    [Fact]
    public async Task A_kernel_without_it_serves_with_TCP_and_says_so_once()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            new WithoutMultipath(), new NetpollTransportOptions { MultipathTcp = true });
        await harness.Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        await harness.Factory.BindAsync(new UnixDomainSocketEndPoint($"\0{Guid.NewGuid()}"));
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;

        Assert.Equal(LibC.IPPROTO_TCP, Read(connection, LibC.SOL_SOCKET, LibC.SO_PROTOCOL));
        Assert.Equal(LogLevel.Information, Assert.Single(harness.Logs.Of(TransportKind.Netpoll, 133)).Level);
        await connection.DisposeAsync().InTime();
    }

    [Theory]
    [InlineData(nameof(Errno.EOPNOTSUPP))]
    [InlineData(nameof(Errno.ENOPROTOOPT))]
    public async Task So_does_one_that_has_not_all_the_options_for_it(string error)
    {
        var kernel = new PoorMultipath { Error = Enum.Parse<Errno>(error) };
        var options = new NetpollTransportOptions { MultipathTcp = true };
        await using (TransportHarness harness = await TransportHarness.StartAsync(kernel, options))
        {
            (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
            using RawClient _ = client;

            Assert.Equal(LibC.IPPROTO_TCP, Read(connection, LibC.SOL_SOCKET, LibC.SO_PROTOCOL));
            Assert.Equal(1, Read(connection, LibC.IPPROTO_TCP, LibC.TCP_NODELAY));
            Assert.Single(harness.Logs.Of(TransportKind.Netpoll, 133));
            await connection.DisposeAsync().InTime();
        }

        Assert.True(kernel.WasClosed);
    }

    [Fact]
    public async Task What_the_kernel_has_against_a_multipath_socket_otherwise_stops_the_start()
    {
        SocketException e = await Assert.ThrowsAsync<SocketException>(() => TransportHarness.StartAsync(
            new PoorMultipath { Error = Errno.EPERM }, new NetpollTransportOptions { MultipathTcp = true }));

        Assert.Contains("setsockopt(TCP_NODELAY", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_refused_for_the_connections_of_a_handle_stops_the_start()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));

        SocketException e = await Assert.ThrowsAsync<SocketException>(() => TransportHarness.StartAsync(
            new WithoutMarks(),
            new NetpollTransportOptions { Mark = 7 },
            new FileHandleEndPoint((ulong)listener.Handle, FileHandleType.Tcp)));

        Assert.Contains("setsockopt(SO_MARK, 7)", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Unix_socket_has_none_of_them()
    {
        var options = new NetpollTransportOptions
        {
            FreeBind = true,
            BindToDevice = "nosuch0",
            Mark = 7,
            TypeOfService = 8,
            MultipathTcp = true,
        };
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: options, endPoint: new UnixDomainSocketEndPoint($"\0{Guid.NewGuid()}"));
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        client.Dispose();
        await connection.DisposeAsync().InTime();
    }

    private static bool HasMultipath()
    {
        SyscallResult created = SystemCalls.Instance.Socket(LibC.AF_INET, LibC.SOCK_STREAM, LibC.IPPROTO_MPTCP);
        if (created.IsSuccess)
        {
            SystemCalls.Instance.Close(created.Value);
        }

        return created.IsSuccess;
    }

    private static async Task<int> AcceptedValueAsync(NetpollTransportOptions options, IPAddress address, int level, int option)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options, endPoint: new IPEndPoint(address, 0));
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient _ = client;
        int value = Read(connection, level, option);
        await connection.DisposeAsync().InTime();
        return value;
    }

    private static int Read(NetpollConnection connection, int level, int option)
    {
        int fd = (int)((IConnectionSocketFeature)connection).Socket.Handle;
        Assert.True(SystemCalls.Instance.GetSockOpt(fd, level, option, out int value).IsSuccess);
        return value;
    }

    // Has such sockets, or passes TCP's off as some, but not this option of theirs.
    private sealed class PoorMultipath : SystemCalls
    {
        private int _multipath = -1;

        internal Errno Error { get; init; }

        internal bool WasClosed { get; private set; }

        protected internal override SyscallResult SocketOnce(int domain, int type, int protocol)
        {
            SyscallResult created = base.SocketOnce(domain, type, 0);
            _multipath = protocol == LibC.IPPROTO_MPTCP ? created.Value : _multipath;
            return created;
        }

        protected internal override SyscallResult SetSockOptOnce(int fd, int level, int option, int value) =>
            fd == _multipath && level == LibC.IPPROTO_TCP && option == LibC.TCP_NODELAY
                ? SyscallResult.Failure(Error)
                : base.SetSockOptOnce(fd, level, option, value);

        protected internal override SyscallResult CloseOnce(int fd)
        {
            if (fd == _multipath)
            {
                _multipath = -1;
                WasClosed = true;
            }

            return base.CloseOnce(fd);
        }
    }

    private sealed class WithoutMarks : SystemCalls
    {
        protected internal override SyscallResult SetSockOptOnce(int fd, int level, int option, int value) =>
            level == LibC.SOL_SOCKET && option == LibC.SO_MARK
                ? SyscallResult.Failure(Errno.EPERM)
                : base.SetSockOptOnce(fd, level, option, value);
    }

    private sealed class WithoutMultipath : SystemCalls
    {
        protected internal override SyscallResult SocketOnce(int domain, int type, int protocol) =>
            protocol == LibC.IPPROTO_MPTCP ? SyscallResult.Failure(Errno.EPROTONOSUPPORT) : base.SocketOnce(domain, type, protocol);
    }
}
