using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Listening;

public class AcceptFailureTests
{
    private readonly FailingAcceptKernel _kernel = new();

    [Theory]
    [InlineData("EMFILE")]
    [InlineData("ENFILE")]
    [InlineData("ENOBUFS")]
    [InlineData("ENOMEM")]
    [InlineData("EACCES")]
    [InlineData("EINVAL")]
    public async Task A_lack_of_room_is_warned_about_once_and_recovers_by_itself(string name)
    {
        Errno error = Enum.Parse<Errno>(name);

        // With more groups, one may accept the connection while others wait for room.
        await using TransportHarness harness = await TransportHarness.StartAsync(
            _kernel, new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 1 });
        _kernel.FailNextAccepts(error, error, error);

        // No second connection comes to wake the listener: the one that is pending must be found again.
        using RawClient client = await harness.ConnectClientAsync();
        await using ConnectionContext connection = await harness.AcceptAsync();

        Assert.True(_kernel.AllFailuresHappened);
        Assert.Equal(client.Socket.LocalEndPoint, connection.RemoteEndPoint);
        LogEntry warning = Assert.Single(harness.Logs.Above(LogLevel.Information));
        Assert.Equal((LogLevel.Warning, 103), (warning.Level, warning.Id.Id));
        Assert.Contains(name, warning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_there_is_no_room_it_does_not_spin()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(_kernel);
        _kernel.Full = true;
        using RawClient client = await harness.ConnectClientAsync();
        Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync().AsTask();
        await Patience.UntilAsync(() => _kernel.AcceptCalls >= 3, "it has tried again");

        // The pauses double: whatever time this takes, it is bounded by the logarithm of it, plus one try a second.
        int before = _kernel.AcceptCalls;
        await Task.Delay(100);
        Assert.InRange(_kernel.AcceptCalls - before, 0, 20);
        Assert.False(accepting.IsCompleted);

        _kernel.Full = false;
        await using ConnectionContext? connection = await accepting.InTime();
        Assert.NotNull(connection);
    }

    [Fact]
    public async Task An_accept_that_is_waiting_for_room_ends_with_the_unbind()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(_kernel);
        _kernel.Full = true;
        using RawClient client = await harness.ConnectClientAsync();
        Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync().AsTask();
        await Patience.UntilAsync(() => _kernel.AcceptCalls >= 2, "it has tried again");

        await harness.Listener.UnbindAsync().InTime();

        Assert.Null(await accepting.InTime());
    }

    [Fact]
    public async Task Unbinding_at_any_moment_of_a_back_off_ends_the_accept()
    {
        for (int i = 0; i < 50; i++)
        {
            await using TransportHarness harness = await TransportHarness.StartAsync(_kernel);
            _kernel.Full = true;
            using RawClient client = await harness.ConnectClientAsync();
            Task<ConnectionContext?> accepting = Task.Run(() => harness.Listener.AcceptAsync().AsTask());
            await Task.Yield();

            await harness.Listener.UnbindAsync().InTime();

            Assert.Null(await accepting.InTime());
            await harness.Listener.DisposeAsync().InTime();
            _kernel.Full = false;
        }
    }

    [Fact]
    public async Task An_accept_that_is_waiting_for_room_can_be_cancelled()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(_kernel);
        _kernel.Full = true;
        using RawClient client = await harness.ConnectClientAsync();
        using var cancellation = new CancellationTokenSource();
        Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync(cancellation.Token).AsTask();
        await Patience.UntilAsync(() => _kernel.AcceptCalls >= 1, "it has tried");

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.InTime());
    }

    /// <summary>The list of accept(2), without what it says of Linux alone and has never been seen there.</summary>
    [Theory]
    [InlineData("ECONNABORTED")]
    [InlineData("EPERM")]
    [InlineData("ENETDOWN")]
    [InlineData("EPROTO")]
    [InlineData("ENOPROTOOPT")]
    [InlineData("EHOSTDOWN")]
    [InlineData("ENONET")]
    [InlineData("EHOSTUNREACH")]
    [InlineData("EOPNOTSUPP")]
    [InlineData("ENETUNREACH")]
    [InlineData("ENOSR")]
    [InlineData("ESOCKTNOSUPPORT")]
    [InlineData("EPROTONOSUPPORT")]
    [InlineData("ETIMEDOUT")]
    public async Task A_connection_that_died_in_the_queue_is_nothing_above_Debug(string name)
    {
        Errno error = Enum.Parse<Errno>(name);

        // With more groups, one may accept the connection while others wait for room.
        await using TransportHarness harness = await TransportHarness.StartAsync(
            _kernel, new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 1 });
        _kernel.FailNextAccepts([.. Enumerable.Repeat(error, 200)]);

        using RawClient client = await harness.ConnectClientAsync();
        await using ConnectionContext connection = await harness.AcceptAsync();

        Assert.True(_kernel.AllFailuresHappened);
        Assert.Empty(harness.Logs.Above(LogLevel.Information));
        Assert.Equal(200, harness.Logs.Of(TransportKind.Netpoll, 19).Count());
    }

    /// <summary>A rule that forbids every connection looks like connections that have all failed.</summary>
    [Fact]
    public async Task An_error_of_connections_that_does_not_end_is_warned_about_and_does_not_spin()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            _kernel, new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 1 });
        _kernel.FailAlways(Errno.EPERM);
        using RawClient client = await harness.ConnectClientAsync();
        Task<NetpollConnection> accepting = harness.AcceptAsync();

        await Patience.UntilAsync(() => harness.Logs.Of(TransportKind.Netpoll, 103).Any(), "the warning is there");
        LogEntry warning = Assert.Single(harness.Logs.Above(LogLevel.Information));
        Assert.Contains("1024 connections in a row had failed already, the last one with EPERM", warning.Message, StringComparison.Ordinal);

        // The pauses double: the number of tries is bounded by the logarithm of the time, plus one a second.
        int before = _kernel.AcceptCalls;
        await Task.Delay(100);
        Assert.InRange(_kernel.AcceptCalls - before, 0, 20 * 1024);

        _kernel.Full = false;
        await using ConnectionContext connection = await accepting.InTime();
        Assert.Equal(client.Socket.LocalEndPoint, connection.RemoteEndPoint);
    }

    [Fact]
    public async Task A_connection_that_cannot_be_watched_is_lost_and_the_warning_says_why()
    {
        var kernel = new UnwatchableSystemCalls();
        await using TransportHarness harness = await TransportHarness.StartAsync(kernel);
        kernel.Failing = true;
        using RawClient lost = await harness.ConnectClientAsync();
        Task<NetpollConnection> accepting = harness.AcceptAsync();
        await Patience.UntilAsync(() => harness.Logs.Of(TransportKind.Netpoll, 103).Any(), "the warning is there");
        string warning = harness.Logs.Of(TransportKind.Netpoll, 103).First().Message;
        Assert.Contains(SystemErrors.ToSocketException(Errno.ENOMEM).Message, warning, StringComparison.Ordinal);
        Assert.Equal(PeerEnd.Reset, (await lost.ReadToEndAsync()).End);
        LogEntry logged = harness.Logs.Of(TransportKind.Netpoll, 14).First();
        Assert.Equal((LogLevel.Debug, "ConnectionError"), (logged.Level, logged.Id.Name));
        Assert.IsType<SocketException>(logged.Exception);

        Assert.Equal((0, 0), (harness.Factory.GetStatistics().AcceptedConnections, harness.Factory.GetStatistics().ActiveConnections));

        kernel.Failing = false;
        using RawClient client = await harness.ConnectClientAsync();
        await using ConnectionContext connection = await accepting;
        Assert.Equal((1, 1), (harness.Factory.GetStatistics().AcceptedConnections, harness.Factory.GetStatistics().ActiveConnections));
        Assert.Equal(client.Socket.LocalEndPoint, connection.RemoteEndPoint);
    }

    [Fact]
    public async Task Kestrel_goes_on_accepting_after_a_lack_of_room()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup => setup.SystemCalls = _kernel);
        _kernel.Full = true;
        RawClient[] clients = [.. await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => server.ConnectAsync()))];
        await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 103).Any(), "the warning is there");

        _kernel.Full = false;

        foreach (RawClient client in clients)
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(200, (await client.ReadResponseAsync()).Status);
            client.Dispose();
        }
    }

    /// <summary>The kernel refuses to watch another descriptor while it is told to.</summary>
    private sealed class UnwatchableSystemCalls : SystemCalls
    {
        private volatile bool _failing;

        internal bool Failing
        {
            get => _failing;
            set => _failing = value;
        }

        protected internal override SyscallResult PollOnce(int fd, short events, out short revents)
        {
            revents = 0;
            return Failing ? SyscallResult.Failure(Errno.ENOMEM) : base.PollOnce(fd, events, out revents);
        }

        protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data) =>
            _failing && op == LibC.EPOLL_CTL_ADD ? SyscallResult.Failure(Errno.ENOMEM) : base.EpollCtlOnce(epfd, op, fd, events, data);
    }
}
