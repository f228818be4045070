using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Internal;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Listener;

// Fills the descriptors of the whole process, up to a limit of its own.
[Collection(nameof(Alone))]
public class DescriptorHeadroomTests
{
    [Theory]
    [InlineData(220, 170, 180)]
    [InlineData(220, 219, 219)]
    [InlineData(220, 220, 220)]
    [InlineData(1024, 170, 896)]
    [InlineData(int.MaxValue, 170, int.MaxValue - 128)]
    public void Most_of_what_is_free_at_the_start_is_reserved_up_to_a_bound(int limit, int inUse, int firstReserved) =>
        Assert.Equal(firstReserved, new DescriptorHeadroom(new CountingKernel { NextNumber = inUse }, limit).FirstReserved);

    [Fact]
    public void The_limit_of_this_process_is_found() => Assert.InRange(DescriptorHeadroom.ReadLimit(), 100, int.MaxValue);

    [Fact]
    public void It_asks_the_kernel_only_after_the_reserve_was_touched()
    {
        var kernel = new CountingKernel { NextNumber = 180 };
        var headroom = new DescriptorHeadroom(kernel, 220);
        Assert.Equal(188, headroom.FirstReserved);
        Assert.Equal([180], kernel.Closed);

        headroom.OnAccepted(187);
        Assert.True(headroom.HasRoom(100));
        Assert.Equal(1, kernel.Probes);

        headroom.OnAccepted(200);
        kernel.NextNumber = 201;
        Assert.False(headroom.HasRoom(100));
        Assert.False(headroom.HasRoom(100));
        kernel.NextNumber = null;
        Assert.False(headroom.HasRoom(100));
        Assert.Equal(4, kernel.Probes);

        kernel.NextNumber = 185;
        Assert.True(headroom.HasRoom(100));
        Assert.True(headroom.HasRoom(100));
        Assert.Equal(5, kernel.Probes);
        Assert.Equal([180, 201, 201, 185], kernel.Closed);
    }

    [Theory]
    [InlineData(205, 7, true)]
    [InlineData(205, 8, false)]
    [InlineData(211, 1, true)]
    [InlineData(212, 1, false)]
    [InlineData(219, 0, true)]
    public void A_few_connections_are_served_even_if_everything_else_has_used_up_the_reserve(int next, int open, bool expected)
    {
        var kernel = new CountingKernel { NextNumber = 180 };
        var headroom = new DescriptorHeadroom(kernel, 220);
        headroom.OnAccepted(219);
        kernel.NextNumber = next;

        Assert.Equal(expected, headroom.HasRoom(open));
    }

    [Fact]
    public async Task A_full_server_leaves_the_reserve_alone_and_serves_the_rest_when_there_is_room()
    {
        // Both ends of each connection count, as they are in this process.
        int limit = Directory.GetFileSystemEntries("/proc/self/fd").Length + 200;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            setup.Platform = new PlatformSupport(true, RuntimeInformation.ProcessArchitecture, SystemCalls.Instance, limit));
        List<RawClient> clients = [];
        for (int i = 0; i < 150; i++)
        {
            clients.Add(await server.ConnectAsync());
        }

        await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 103).Any(), "the warning is there");
        Assert.InRange(server.Factory!.GetStatistics().AcceptedConnections, 1, clients.Count - 1);
        LogEntry warning = Assert.Single(server.Logs.Above(LogLevel.Information));
        Assert.Contains($"all of the process's {limit} descriptors but a reserve", warning.Message, StringComparison.Ordinal);

        // The oldest ones go, so that the others fit.
        clients.GetRange(0, 100).ForEach(static client => client.Dispose());
        foreach (RawClient client in clients[100..])
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(200, (await client.ReadResponseAsync()).Status);
            client.Dispose();
        }
    }

    private sealed class CountingKernel : SystemCalls
    {
        internal int? NextNumber { get; set; }

        internal int Probes { get; private set; }

        internal List<int> Closed { get; } = [];

        protected internal override SyscallResult EventFdOnce(uint initial, int flags)
        {
            Probes++;
            return NextNumber is { } number ? SyscallResult.Success(number) : SyscallResult.Failure(Errno.EMFILE);
        }

        protected internal override SyscallResult CloseOnce(int fd)
        {
            Closed.Add(fd);
            return SyscallResult.Success(0);
        }
    }
}
