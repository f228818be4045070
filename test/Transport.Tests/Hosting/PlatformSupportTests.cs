using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Internal;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

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
        Assert.Equal(obstacle is null, platform.IsSupported);
    }

    [Fact]
    public void A_sandbox_that_refuses_epoll_is_noticed() =>
        Assert.Equal("the kernel refuses epoll (EPERM).", new PlatformSupport(true, Architecture.X64, new NoEpoll()).Obstacle);

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
        using var factory = CreateFactory(logs, new PlatformSupport(SystemCalls.Instance));

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

    private static NetpollTransportFactory CreateFactory(LogCollector logs, PlatformSupport platform) =>
        new(Options.Create(new NetpollTransportOptions()), logs, null, platform, SystemCalls.Instance);

    private sealed class NoEpoll : SystemCalls
    {
        protected internal override SyscallResult EpollCreateOnce(int flags) => SyscallResult.Failure(Errno.EPERM);
    }
}
