using System.Globalization;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Alone, since one of them sets environment variables of the process.</summary>
[Collection(nameof(Alone))]
[OneMode]
public class FileHandleTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_handle_is_served_and_left_open(bool listensAlready)
    {
        using Socket owner = Bound();
        if (listensAlready)
        {
            owner.Listen();
        }

        for (int i = 0; i < 2; i++)
        {
            await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            {
                setup.Kestrel = options => options.ListenHandle((ulong)owner.Handle);
                setup.App = context => context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "other");
            });
            Assert.Contains(owner.LocalEndPoint, server.Factory!.EndPoints);
            using RawClient client = await RawClient.ConnectAsync(owner.LocalEndPoint!);
            await client.SendAsync(Request);
            Assert.Equal("netpoll", (await client.ReadResponseAsync()).Text);
        }

        // It has not even stopped listening: the next owner takes over without a gap. Its Socket has to be told.
        owner.Listen();
        using RawClient waiting = await RawClient.ConnectAsync(owner.LocalEndPoint!);
        using Socket accepted = await owner.AcceptAsync().InTime();
        Assert.Equal(waiting.Socket.LocalEndPoint, accepted.RemoteEndPoint);
    }

    [Fact]
    public async Task A_Unix_handle_is_served_too()
    {
        using var owner = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var endPoint = new UnixDomainSocketEndPoint($"\0netpoll-{Guid.NewGuid()}");
        owner.Bind(endPoint);
        await using TransportHarness harness = await TransportHarness.StartAsync(endPoint: new FileHandleEndPoint((ulong)owner.Handle, FileHandleType.Auto));

        Assert.Equal(endPoint, harness.Listener.EndPoint);
        using RawClient client = await harness.ConnectClientAsync();
        await using NetpollConnection connection = await harness.AcceptAsync();
    }

    /// <summary>Somebody else may be accepting on it: what is for our connections is set on them.</summary>
    [Theory]
    [InlineData(TransportKind.Sockets, false)]
    [InlineData(TransportKind.Netpoll, false)]
    [InlineData(TransportKind.Netpoll, true)]
    public async Task The_options_of_a_handle_are_not_changed(TransportKind kind, bool throughFunction)
    {
        using Socket owner = Bound();
        string before = OptionsOf(owner);
        string? ofConnection = null;
        await using (TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Kestrel = options => options.ListenHandle((ulong)owner.Handle);
            setup.App = context =>
            {
                ofConnection = OptionsOf(context.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket);
                return Task.CompletedTask;
            };
            setup.Netpoll = options =>
            {
                options.TcpKeepAliveTime = TimeSpan.FromSeconds(77);
                options.ReceiveBufferSize = 20_000;
                options.SendBufferSize = 30_000;
                options.UserTimeout = TimeSpan.FromSeconds(5);
                if (throughFunction)
                {
                    options.CreateBoundListenSocket = static endPoint => NetpollTransportOptions.CreateDefaultBoundListenSocket(endPoint);
                }
            };
        }))
        {
            using RawClient client = await RawClient.ConnectAsync(owner.LocalEndPoint!);
            await client.SendAsync(Request);
            Assert.Equal(200, (await client.ReadResponseAsync()).Status);
            Assert.Equal(before, OptionsOf(owner));
        }

        Assert.Equal(before, OptionsOf(owner));
        if (kind == TransportKind.Netpoll)
        {
            Assert.Equal("no delay 1, keep alive 1 after 77, buffers 40000 and 60000, user timeout 5000", ofConnection);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_handle_becomes_non_blocking_for_good(TransportKind kind)
    {
        using Socket owner = Bound();
        owner.Listen(16);
        Assert.False(IsNonBlocking((int)owner.Handle));
        await using (await TestServer.StartAsync(kind, setup => setup.Kestrel = options => options.ListenHandle((ulong)owner.Handle)))
        {
            using RawClient client = await RawClient.ConnectAsync(owner.LocalEndPoint!);
            await client.SendAsync(Request);
            Assert.Equal(200, (await client.ReadResponseAsync()).Status);
        }

        Assert.True(IsNonBlocking((int)owner.Handle));
    }

    [Fact]
    public async Task A_handle_that_is_not_bound_is_refused()
    {
        using var owner = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        SocketException e = await Assert.ThrowsAsync<SocketException>(
            () => TransportHarness.StartAsync(endPoint: new FileHandleEndPoint((ulong)owner.Handle, FileHandleType.Auto)));

        Assert.StartsWith($"descriptor {owner.Handle} is not bound to an address", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sockets_that_a_service_manager_has_passed_are_kept_from_child_processes()
    {
        using Socket owner = Bound();
        int fd = (int)owner.Handle;
        Assert.True(SystemCalls.Instance.SetFdFlags(fd, 0).IsSuccess);
        try
        {
            Environment.SetEnvironmentVariable("LISTEN_FDS", (fd - 3).ToString(CultureInfo.InvariantCulture));
            Environment.SetEnvironmentVariable("LISTEN_PID", Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            await (await TransportHarness.StartAsync(endPoint: new FileHandleEndPoint((ulong)fd, FileHandleType.Auto))).DisposeAsync();
            Assert.False(IsCloseOnExec(fd));

            Environment.SetEnvironmentVariable("LISTEN_FDS", (fd - 2).ToString(CultureInfo.InvariantCulture));
            await (await TransportHarness.StartAsync(endPoint: new FileHandleEndPoint((ulong)fd, FileHandleType.Auto))).DisposeAsync();
            Assert.True(IsCloseOnExec(fd));
        }
        finally
        {
            Environment.SetEnvironmentVariable("LISTEN_FDS", null);
            Environment.SetEnvironmentVariable("LISTEN_PID", null);
        }
    }

    [Theory]
    [InlineData(ulong.MaxValue, "file handle 18446744073709551615")]
    [InlineData(1_000_000UL, "descriptor 1000000")]
    public async Task A_handle_that_is_none_is_named(ulong handle, string name)
    {
        SocketException e = await Assert.ThrowsAsync<SocketException>(
            () => TransportHarness.StartAsync(endPoint: new FileHandleEndPoint(handle, FileHandleType.Auto)));

        Assert.Contains(name, e.Message, StringComparison.Ordinal);
        Assert.Contains("EBADF", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_and_a_datagram_socket_are_refused_and_left_open()
    {
        using FileStream file = File.OpenRead("/dev/null");
        ulong fileHandle = (ulong)file.SafeFileHandle.DangerousGetHandle();
        SocketException noSocket = await Assert.ThrowsAsync<SocketException>(
            () => TransportHarness.StartAsync(endPoint: new FileHandleEndPoint(fileHandle, FileHandleType.Auto)));
        Assert.Equal(SocketError.NotSocket, noSocket.SocketErrorCode);

        using var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        datagrams.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        SocketException noStream = await Assert.ThrowsAsync<SocketException>(
            () => TransportHarness.StartAsync(endPoint: new FileHandleEndPoint((ulong)datagrams.Handle, FileHandleType.Auto)));
        Assert.Contains("not a stream socket", noStream.Message, StringComparison.Ordinal);
        Assert.NotNull(datagrams.LocalEndPoint);
    }

    private static Socket Bound()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private static string OptionsOf(Socket socket)
    {
        return $"no delay {Get(LibC.IPPROTO_TCP, LibC.TCP_NODELAY)}, "
            + $"keep alive {Get(LibC.SOL_SOCKET, LibC.SO_KEEPALIVE)} after {Get(LibC.IPPROTO_TCP, LibC.TCP_KEEPIDLE)}, "
            + $"buffers {Get(LibC.SOL_SOCKET, LibC.SO_RCVBUF)} and {Get(LibC.SOL_SOCKET, LibC.SO_SNDBUF)}, "
            + $"user timeout {Get(LibC.IPPROTO_TCP, LibC.TCP_USER_TIMEOUT)}";

        int Get(int level, int option)
        {
            Assert.True(SystemCalls.Instance.GetSockOpt((int)socket.Handle, level, option, out int value).IsSuccess);
            return value;
        }
    }

    private static bool IsNonBlocking(int fd) => (FlagsOf(fd) & LibC.O_NONBLOCK) != 0;

    private static bool IsCloseOnExec(int fd) => (FlagsOf(fd) & LibC.O_CLOEXEC) != 0;

    private static int FlagsOf(int fd) => File.ReadAllLines($"/proc/self/fdinfo/{fd}")
        .Where(static line => line.StartsWith("flags:", StringComparison.Ordinal))
        .Select(static line => Convert.ToInt32(line["flags:".Length..].Trim(), 8))
        .Single();
}
