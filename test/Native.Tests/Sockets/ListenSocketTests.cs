using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Files;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Sockets;

public sealed class ListenSocketTests : IDisposable
{
    private readonly FaultyKernel _systemCalls = new(seed: 0);
    private readonly NetpollRuntime _runtime;

    public ListenSocketTests() => _runtime = WorkerThreads.CreateRuntime(2, out _, _systemCalls);

    public void Dispose()
    {
        _runtime.Dispose();
        Assert.Empty(_systemCalls.Violations);
        Assert.Empty(_systemCalls.OpenDescriptors);
    }

    [Fact]
    public void Port_0_becomes_a_number()
    {
        ListenSocket listener = SocketPairs.Listen(_runtime);
        var endPoint = Assert.IsType<IPEndPoint>(listener.LocalEndPoint);
        Assert.NotEqual(0, endPoint.Port);
        Assert.Equal(IPAddress.Loopback, endPoint.Address);
        listener.Close();
    }

    /// <summary>Flags are not inherited: an accepted socket has those that the accept asked for.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Listeners_and_what_they_accept_never_block_and_are_closed_on_exec(bool unix)
    {
        using TemporaryDirectory directory = new();
        EndPoint endPoint = unix ? new UnixDomainSocketEndPoint(directory.PathOf("s")) : SocketPairs.AnyPortV4;
        ListenSocket listener = SocketPairs.Listen(_runtime, endPoint);
        StreamSocket client = await ConnectOperation.ConnectAsync(_runtime, listener.LocalEndPoint).InTime();
        StreamSocket accepted = await listener.AcceptAsync().InTime();
        Assert.All((int[])[listener.Fd, client.Fd, accepted.Fd], fd =>
            Assert.Equal((true, true), (ProcessInfo.IsNonBlocking(fd), ProcessInfo.IsCloseOnExec(fd))));

        client.Close();
        accepted.Close();
        listener.RemoveFile();
        listener.Close();
    }

    [Fact]
    public void An_idle_listener_has_nothing_to_accept()
    {
        ListenSocket listener = SocketPairs.Listen(_runtime);
        Assert.True(listener.Accept(listener.Group, out StreamSocket? socket).WouldBlock);
        Assert.Null(socket);
        listener.Close();
        Assert.Equal(Errno.EBADF, listener.Accept(listener.Group, out _).Errno);
        Assert.Equal(PollResult.Closing, listener.BeginWaitReadable(new CallbackTurn()));
    }

    [Fact]
    public void A_port_in_use_is_refused_and_nothing_leaks()
    {
        ListenSocket listener = SocketPairs.Listen(_runtime);
        int open = _systemCalls.OpenDescriptors.Count;
        SocketException exception = Assert.Throws<SocketException>(() => SocketPairs.Listen(_runtime, listener.LocalEndPoint));
        Assert.Equal(SocketError.AddressAlreadyInUse, exception.SocketErrorCode);
        Assert.Equal(open, _systemCalls.OpenDescriptors.Count);
        listener.Close();
    }

    [Theory]
    [InlineData("SocketOnce", (int)Errno.EMFILE, SocketError.TooManyOpenSockets)]
    [InlineData("EpollCtlOnce", (int)Errno.ENOSPC, SocketError.SocketError)]
    public void What_the_kernel_refuses_becomes_an_exception_and_nothing_leaks(string call, int error, SocketError expected)
    {
        int open = _systemCalls.OpenDescriptors.Count;
        _systemCalls.FailNext(call, (Errno)error);
        SocketException exception = Assert.Throws<SocketException>(() => SocketPairs.Listen(_runtime));
        if (expected != SocketError.SocketError)
        {
            Assert.Equal(expected, exception.SocketErrorCode);
        }

        Assert.Equal(open, _systemCalls.OpenDescriptors.Count);
        Assert.Equal(0, _runtime.GetStatistics().OpenDescriptors);
    }

    /// <summary>Also with an accept waiting: CloseAsync means that the port is free.</summary>
    [Fact]
    public async Task The_port_can_be_listened_on_again_right_after_CloseAsync()
    {
        ListenSocket listener = SocketPairs.Listen(_runtime);
        EndPoint endPoint = listener.LocalEndPoint;
        for (int i = 0; i < 100; i++)
        {
            Task<PollResult> waiting = listener.WaitReadableAsync();
            await listener.CloseAsync().InTime();
            listener = SocketPairs.Listen(_runtime, endPoint);
            Assert.Equal(PollResult.Closing, await waiting.InTime());
        }

        listener.Close();
    }

    [Theory]
    [InlineData((int)Errno.ECONNABORTED, true)]
    [InlineData((int)Errno.EPERM, true)]
    [InlineData((int)Errno.EOPNOTSUPP, true)]
    [InlineData((int)Errno.EMFILE, false)]
    [InlineData((int)Errno.EAGAIN, false)]
    [InlineData((int)Errno.EBADF, false)]
    public async Task Errors_of_connections_that_died_in_the_backlog_can_be_told_from_those_of_the_listener(int error, bool ofConnection)
    {
        ListenSocket listener = SocketPairs.Listen(_runtime);
        _systemCalls.FailNext("Accept4Once", Errno.EINTR, (Errno)error);
        StreamSocket client = await ConnectOperation.ConnectAsync(_runtime, listener.LocalEndPoint).InTime();
        SyscallResult failed = listener.Accept(listener.Group, out _);
        Assert.Equal(((Errno)error, ofConnection), (failed.Errno, ListenSocket.IsErrorOfTheConnection(failed.Errno)));
        Assert.Equal(2, _systemCalls.Injected);

        StreamSocket server = await listener.AcceptAsync();
        client.Close();
        server.Close();
        listener.Close();
    }

    [Theory]
    [InlineData((int)Errno.EMFILE)]
    [InlineData((int)Errno.ENFILE)]
    [InlineData((int)Errno.ENOBUFS)]
    [InlineData((int)Errno.ENOMEM)]
    public async Task A_shortage_is_reported_and_the_connection_waits_in_the_backlog(int error)
    {
        ListenSocket listener = SocketPairs.Listen(_runtime);
        StreamSocket client = await ConnectOperation.ConnectAsync(_runtime, listener.LocalEndPoint).InTime();
        _systemCalls.FailNext("Accept4Once", (Errno)error);
        Assert.Equal((Errno)error, listener.Accept(listener.Group, out StreamSocket? socket).Errno);
        Assert.Null(socket);
        Assert.True(listener.Accept(listener.Group, out socket).IsSuccess);
        socket!.Close();
        client.Close();
        listener.Close();
    }

    [Fact]
    public async Task A_send_that_the_kernel_has_no_buffers_for_says_so_and_breaks_nothing()
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(_runtime);
        _systemCalls.FailNext("SendOnce", Errno.EINTR, Errno.ENOBUFS);
        Assert.Equal(Errno.ENOBUFS, client.Send([1]).Errno);
        Assert.Equal(1, client.Send([2]).Value);
        byte[] buffer = new byte[2];
        Assert.Equal(1, await server.ReceiveAsync(buffer));
        Assert.Equal(2, buffer[0]);
        client.Close();
        server.Close();
    }

    [Fact]
    public async Task A_connection_wakes_a_waiting_acceptor()
    {
        ListenSocket listener = SocketPairs.Listen(_runtime);
        for (int i = 0; i < 50; i++)
        {
            Task<StreamSocket> accepting = listener.AcceptAsync();
            StreamSocket client = await ConnectOperation.ConnectAsync(_runtime, listener.LocalEndPoint).InTime();
            StreamSocket server = await accepting.InTime();
            Assert.Equal(client.GetLocalEndPoint(), server.RemoteEndPoint);
            server.Close(reset: true);
            client.Close();
        }

        listener.Close();
    }

    [Fact]
    public async Task IPv6Any_takes_IPv4_too_and_other_IPv6_addresses_do_not()
    {
        ListenSocket any = SocketPairs.Listen(_runtime, new IPEndPoint(IPAddress.IPv6Any, 0));
        IPEndPoint overIPv4 = new(IPAddress.Loopback, ((IPEndPoint)any.LocalEndPoint).Port);
        StreamSocket client = await ConnectOperation.ConnectAsync(_runtime, overIPv4).InTime();
        StreamSocket server = await any.AcceptAsync();
        Assert.True(((IPEndPoint)server.RemoteEndPoint!).Address.IsIPv4MappedToIPv6);
        client.Close();
        server.Close();

        ListenSocket v6 = SocketPairs.Listen(_runtime, SocketPairs.AnyPortV6);
        SocketException refused = await Assert.ThrowsAsync<SocketException>(() => ConnectOperation
            .ConnectAsync(_runtime, new IPEndPoint(IPAddress.Loopback, ((IPEndPoint)v6.LocalEndPoint).Port)).InTime());
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        any.Close();
        v6.Close();
    }

    /// <summary>Linux hands these on to accepted sockets, which saves calls for each of them; non-blocking it does not hand on.</summary>
    [Fact]
    public async Task Accepted_sockets_send_small_segments_at_once_and_never_block()
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(_runtime);
        Assert.True(SystemCalls.Instance.GetSockOpt(server.Fd, LibC.IPPROTO_TCP, LibC.TCP_NODELAY, out int noDelay).IsSuccess);
        Assert.NotEqual(0, noDelay);
        Assert.NotEqual(0, SystemCalls.Instance.GetFlags(server.Fd).Value & LibC.O_NONBLOCK);
        client.Close();
        server.Close();
    }
}
