using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

[OneMode]
public class PlatformSupportTests
{
    [Theory]
    [InlineData(true, Architecture.X64, null)]
    [InlineData(true, Architecture.Arm64, null)]
    [InlineData(true, Architecture.X86, "it needs an x64 or arm64 process, this one is X86.")]
    [InlineData(true, Architecture.Arm, "it needs an x64 or arm64 process, this one is Arm.")]
    [InlineData(false, Architecture.X64, "it needs Linux.")]
    [InlineData(false, Architecture.Arm64, "it needs Linux.")]
    public void Runs_on_64_bit_Linux(bool isLinux, Architecture architecture, string? obstacle)
    {
        var platform = new PlatformSupport(isLinux, architecture, SystemCalls.Instance);

        Assert.Equal(obstacle, platform.Obstacle);
    }

    [Theory]
    [InlineData("epoll_create1")]
    [InlineData("eventfd2")]
    [InlineData("epoll_ctl")]
    [InlineData("epoll_wait")]
    [InlineData("accept4")]
    public async Task Kestrel_stays_on_Sockets_in_a_sandbox_that_refuses_what_the_engine_needs(string call)
    {
        var sandbox = new Sandbox(call);
        string obstacle = $"the kernel refuses {call} (EPERM).";
        Assert.Equal(obstacle, new PlatformSupport(true, Architecture.X64, sandbox).Obstacle);
        Assert.Equal(0, sandbox.OpenDescriptors);

        await AssertServedBySocketsAsync(sandbox, obstacle);
    }

    /// <summary>Nothing is refused for good: the descriptors run out between the look and the start.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Kestrel_stays_on_Sockets_if_the_engine_cannot_start(int epollInstances) =>
        await AssertServedBySocketsAsync(new Sandbox("epoll_create1", after: epollInstances), "its engine cannot start: epoll_create1: ");

    [Fact]
    public void What_could_not_start_may_start_later()
    {
        var kernel = new Sandbox("epoll_create1", after: 1);
        using var logs = new LogCollector();
        using var factory = CreateFactory(logs, new PlatformSupport(kernel));
        var endPoint = new IPEndPoint(IPAddress.Loopback, 0);

        Assert.False(factory.CanBind(endPoint));
        Assert.NotNull(factory.UnsupportedReason);
        kernel.Lift();
        Assert.True(factory.CanBind(endPoint));
        Assert.Null(factory.UnsupportedReason);
    }

    [Theory]
    [InlineData("pipe2")]
    [InlineData("poll")]
    [InlineData("accept4")]
    public void Polling_is_asked_for_what_it_needs_itself(string call)
    {
        var sandbox = new Sandbox(call);
        var platform = new PlatformSupport(true, Architecture.X64, sandbox);

        Assert.Equal($"the kernel refuses {call} (EPERM).", platform.ObstacleTo(PollerBackend.Poll));
        Assert.Equal(0, sandbox.OpenDescriptors);
    }

    [Theory]
    [InlineData("epoll_create1")]
    [InlineData("eventfd2")]
    public async Task Where_epoll_is_refused_polling_serves(string call)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.SystemCalls = new Sandbox(call);
            setup.Netpoll = static options => options.Backend = NetpollBackend.Poll;
            setup.App = context => context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Backend ?? "other");
        });

        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("poll", (await client.ReadResponseAsync()).Text);
        Assert.Equal("poll", server.Factory!.Backend);
        Assert.Contains("poll", Assert.Single(server.Logs.Of(TransportKind.Netpoll, 101)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(NetpollBackend.Epoll, "epoll_ctl")]
    [InlineData(NetpollBackend.Epoll, "accept4")]
    [InlineData(NetpollBackend.Poll, "poll")]
    public async Task A_backend_that_is_demanded_and_cannot_run_is_an_error_at_start(NetpollBackend backend, string call)
    {
        var exception = await Assert.ThrowsAsync<PlatformNotSupportedException>(() => TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.SystemCalls = new Sandbox(call);
            setup.Netpoll = options => options.Backend = backend;
        }));

        Assert.Equal(
            $"NetpollTransportOptions.Backend is {backend}, and the netpoll transport cannot run here with it: "
                + $"the kernel refuses {call} (EPERM).",
            exception.Message);
    }

    [Fact]
    public void A_backend_that_is_demanded_elsewhere_is_an_error_as_well()
    {
        using var logs = new LogCollector();
        var options = new NetpollTransportOptions { Backend = NetpollBackend.Poll };
        using var factory = new NetpollTransportFactory(
            Options.Create(options), logs, null, new PlatformSupport(false, Architecture.X64, SystemCalls.Instance));

        var exception = Assert.Throws<PlatformNotSupportedException>(() => factory.CanBind(new IPEndPoint(IPAddress.Loopback, 0)));
        Assert.EndsWith("it needs Linux.", exception.Message, StringComparison.Ordinal);
    }

    public static TheoryData<EndPoint, bool> EndPoints => new()
    {
        { new IPEndPoint(IPAddress.Loopback, 0), true },
        { new IPEndPoint(IPAddress.Any, 80), true },
        { new IPEndPoint(IPAddress.IPv6Any, 80), true },
        { new IPEndPoint(IPAddress.IPv6Loopback, 80), true },
        { new UnixDomainSocketEndPoint("/tmp/never-made"), true },
        { new UnixDomainSocketEndPoint("\0never-made"), true },
        { new FileHandleEndPoint(3, FileHandleType.Auto), true },
        { new NamedPipeEndPoint("pipe"), false },
        { new DnsEndPoint("localhost", 80), false },
    };

    [Theory]
    [MemberData(nameof(EndPoints))]
    public void CanBind_is_true_for_what_is_served(EndPoint endPoint, bool expected)
    {
        using var logs = new LogCollector();
        using var factory = CreateFactory(logs, new PlatformSupport());

        Assert.Equal(expected, factory.CanBind(endPoint));
        Assert.Empty(logs.Entries);
    }

    [Theory]
    [MemberData(nameof(EndPoints))]
    public void CanBind_is_false_where_the_transport_cannot_run_and_says_why_once(EndPoint endPoint, bool isServed)
    {
        using var logs = new LogCollector();
        using var factory = CreateFactory(logs, new PlatformSupport(false, Architecture.X64, SystemCalls.Instance));

        for (int i = 0; i < 3; i++)
        {
            Assert.False(factory.CanBind(endPoint));
        }

        Assert.Equal(isServed ? [(LogLevel.Information, 102)] : [], logs.Entries.Select(entry => (entry.Level, entry.Id.Id)));
        Assert.Equal("it needs Linux.", factory.UnsupportedReason);
    }

    [Fact]
    public async Task Kestrel_stays_on_Sockets_where_the_transport_cannot_run()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Platform = new PlatformSupport(true, Architecture.S390x, SystemCalls.Instance);
            setup.Netpoll = static options => options.Backend = NetpollBackend.Auto;
            setup.Kestrel = options => options.Listen(IPAddress.IPv6Loopback, 0);
            setup.App = context => context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "other");
        });

        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("other", (await client.ReadResponseAsync()).Text);
        Assert.Empty(server.Factory!.EndPoints);

        // One line for the process, not one for each of the two endpoints.
        LogEntry line = Assert.Single(server.Logs.Of(TransportKind.Netpoll, 102));
        Assert.Equal(LogLevel.Information, line.Level);
        Assert.Contains("S390x", line.Message, StringComparison.Ordinal);
    }

    private static async Task AssertServedBySocketsAsync(Sandbox sandbox, string reason)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.SystemCalls = sandbox;
            setup.Netpoll = static options =>
                (options.WorkerCount, options.WorkerGroupCount, options.Backend) = (2, 2, NetpollBackend.Auto);
            setup.App = context => context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "other");
        });

        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("other", (await client.ReadResponseAsync()).Text);
        Assert.Contains(reason, server.Factory!.UnsupportedReason, StringComparison.Ordinal);
        Assert.Contains(reason, Assert.Single(server.Logs.Of(TransportKind.Netpoll, 102)).Message, StringComparison.Ordinal);
        Assert.Equal(0, sandbox.OpenDescriptors);
    }

    private static NetpollTransportFactory CreateFactory(LogCollector logs, PlatformSupport platform) =>
        new(Options.Create(new NetpollTransportOptions()), logs, null, platform);

    /// <summary>Refuses one system call, from the first or a later one on, and counts what is open.</summary>
    private sealed class Sandbox(string refused, int after = 0) : SystemCalls
    {
        private int _allowed = after;
        private int _open;

        internal int OpenDescriptors => Volatile.Read(ref _open);

        internal void Lift() => Volatile.Write(ref _allowed, int.MaxValue);

        protected internal override SyscallResult EpollCreateOnce(int flags) =>
            Opened(Refuse("epoll_create1") ?? base.EpollCreateOnce(flags));

        protected internal override SyscallResult EventFdOnce(uint initial, int flags) =>
            Opened(Refuse("eventfd2") ?? base.EventFdOnce(initial, flags));

        protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data) =>
            Refuse("epoll_ctl") ?? base.EpollCtlOnce(epfd, op, fd, events, data);

        protected internal override SyscallResult EpollWaitOnce(
            int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds) =>
            Refuse("epoll_wait") ?? base.EpollWaitOnce(epfd, buffer, maxEvents, timeoutMilliseconds);

        protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
        {
            addressLength = 0;
            return Refuse("accept4") ?? base.Accept4Once(fd, address, out addressLength, flags);
        }

        protected internal override SyscallResult Pipe2Once(out int read, out int write, int flags)
        {
            (read, write) = (-1, -1);
            return Opened(Opened(Refuse("pipe2") ?? base.Pipe2Once(out read, out write, flags)));
        }

        protected internal override SyscallResult PollAllOnce(Span<pollfd> asked, int timeoutMilliseconds) =>
            Refuse("poll") ?? base.PollAllOnce(asked, timeoutMilliseconds);

        protected internal override SyscallResult CloseOnce(int fd)
        {
            Interlocked.Decrement(ref _open);
            return base.CloseOnce(fd);
        }

        private SyscallResult? Refuse(string call) =>
            call == refused && Interlocked.Decrement(ref _allowed) < 0 ? SyscallResult.Failure(Errno.EPERM) : null;

        private SyscallResult Opened(SyscallResult result)
        {
            if (result.IsSuccess)
            {
                Interlocked.Increment(ref _open);
            }

            return result;
        }
    }
}
