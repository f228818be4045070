using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Listening;

// Fills the descriptors of the whole process, up to a limit of its own.
[Collection(nameof(Alone))]
[OneMode]
public class DescriptorHeadroomTests
{
    // Both ends of each are in this process, which may have numbers free below those that are taken.
    private const int Clients = 250;

    [Theory]
    [InlineData(220, 170, 180)]
    [InlineData(220, 219, 219)]
    [InlineData(220, 220, 220)]
    [InlineData(1024, 170, 896)]
    [InlineData(int.MaxValue, 170, int.MaxValue - 128)]
    public void Most_of_what_is_free_at_the_start_is_reserved_up_to_a_bound(int limit, int inUse, int firstReserved) =>
        Assert.Equal(firstReserved, new DescriptorHeadroom(new NumberingKernel { NextNumber = inUse }, () => limit).FirstReserved);

    [Fact]
    public void The_limit_of_this_process_is_found() => Assert.InRange(DescriptorHeadroom.ReadLimit(SystemCalls.Instance), 100, int.MaxValue);

    [Fact]
    public void It_asks_the_kernel_only_after_the_reserve_was_touched()
    {
        var kernel = new NumberingKernel { NextNumber = 180 };
        var headroom = new DescriptorHeadroom(kernel, static () => 220);
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
        var kernel = new NumberingKernel { NextNumber = 180 };
        var headroom = new DescriptorHeadroom(kernel, static () => 220);
        headroom.OnAccepted(219);
        kernel.NextNumber = next;

        Assert.Equal(expected, headroom.HasRoom(open));
    }

    /// <summary>What the first requests have loaded stays, and is not needed once more.</summary>
    [Theory]
    [InlineData(260, 170, 208, 18)] // 72 were kept, of which 38 are used: 34 are kept
    [InlineData(260, 170, 180, 18)] // 10 are used, and connections have the same
    [InlineData(260, 170, 170, 18)]
    [InlineData(230, 170, 208, 8)] // 10 are left of 48, and .NET may need more: only a few may have them
    [InlineData(240, 170, 200, 14)] // 26 are left of 56
    [InlineData(1024, 170, 600, 392)] // 32 of 128 are kept
    public void What_the_rest_of_the_process_has_taken_of_the_reserve_is_not_kept_twice(int limit, int atStart, int others, int most)
    {
        var kernel = new NumberingKernel { NextNumber = atStart };
        var headroom = new DescriptorHeadroom(kernel, () => limit);
        headroom.OnAccepted(limit - 1);
        int connections = 0;
        while (headroom.HasRoom(connections))
        {
            connections++;
            kernel.NextNumber = others + connections;
            headroom.OnAccepted(limit - 1);
        }

        Assert.Equal(most, connections);
    }

    [Fact]
    public void A_limit_that_is_raised_or_lowered_while_connections_wait_is_followed()
    {
        int limit = 400;
        var kernel = new NumberingKernel { NextNumber = 200 };
        var headroom = new DescriptorHeadroom(kernel, () => limit);
        Assert.Equal(272, headroom.FirstReserved);
        headroom.OnAccepted(272);
        kernel.NextNumber = 273;
        Assert.False(headroom.HasRoom(100));

        limit = 4096;
        Assert.True(headroom.HasRoom(100));
        Assert.False(headroom.IsTight);
        Assert.Equal((4096, 4096 - 128), (headroom.Limit, headroom.FirstReserved));

        headroom.OnAccepted(4096 - 128);
        kernel.NextNumber = 300;
        limit = 400;
        Assert.False(headroom.HasRoom(100));
        Assert.Equal((400, 272), (headroom.Limit, headroom.FirstReserved));

        // Below what it had at first: everything is reserved.
        limit = 100;
        Assert.False(headroom.HasRoom(100));
        Assert.Equal(100, headroom.FirstReserved);
        limit = 400;
        kernel.NextNumber = 271;
        Assert.True(headroom.HasRoom(100));
    }

    [Fact]
    public void A_limit_that_is_lowered_while_there_is_room_is_noticed_soon()
    {
        int limit = 4096;
        long now = 5;
        var headroom = new DescriptorHeadroom(new NumberingKernel { NextNumber = 200 }, () => limit, () => now);
        limit = 400;
        headroom.OnAccepted(272);
        Assert.False(headroom.IsTight);
        now += DescriptorHeadroom.LookInterval;
        headroom.OnAccepted(271);
        Assert.False(headroom.IsTight);
        headroom.OnAccepted(272);
        Assert.True(headroom.IsTight);
    }

    [Theory]
    [InlineData(220, 170, true)]
    [InlineData(328, 170, true)]
    [InlineData(330, 170, false)]
    [InlineData(100, 170, true)]
    [InlineData(int.MaxValue, 170, false)]
    public void A_reserve_that_cannot_be_had_is_known(int limit, int inUse, bool isScarce) =>
        Assert.Equal(isScarce, new DescriptorHeadroom(new NumberingKernel { NextNumber = inUse }, () => limit).IsScarce);

    [Theory]
    [InlineData(20, true)]
    [InlineData(400, false)]
    public async Task A_reserve_that_cannot_be_had_is_told_when_the_endpoint_is_bound(int free, bool isTold)
    {
        int limit = await CountDescriptorsAsync() + free;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            setup.Platform = new PlatformSupport(true, RuntimeInformation.ProcessArchitecture, SystemCalls.Instance, limit));
        LogEntry[] warnings = [.. server.Logs.Of(TransportKind.Netpoll, 111)];
        Assert.Equal(isTold ? 1 : 0, warnings.Length);
        Assert.All(warnings, warning => Assert.Contains($"may have {limit} descriptors", warning.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_limit_that_is_raised_lets_those_in_that_wait_and_says_so()
    {
        int limit = await CountDescriptorsAsync() + 200;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            setup.Platform = new PlatformSupport(true, RuntimeInformation.ProcessArchitecture, SystemCalls.Instance)
            {
                ReadDescriptorLimit = () => Volatile.Read(ref limit),
            });
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < Clients; i++)
            {
                clients.Add(await server.ConnectAsync());
            }

            await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 103).Any(), "the warning is there");
            Assert.Empty(server.Logs.Of(TransportKind.Netpoll, 110));
            Volatile.Write(ref limit, 20_000);
            await Patience.UntilAsync(() => server.Factory!.GetStatistics().AcceptedConnections == clients.Count, "all are accepted");
            await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 110).Any(), "it says so");
            LogEntry again = Assert.Single(server.Logs.Of(TransportKind.Netpoll, 110));
            Assert.Equal(LogLevel.Information, again.Level);
            Assert.Contains($"Accepting on {server.EndPoint} again", again.Message, StringComparison.Ordinal);
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    [Fact]
    public async Task A_full_server_leaves_the_reserve_alone_and_serves_the_rest_when_there_is_room()
    {
        // Both ends of each connection count, as they are in this process.
        int limit = await CountDescriptorsAsync() + 200;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            setup.Platform = new PlatformSupport(true, RuntimeInformation.ProcessArchitecture, SystemCalls.Instance, limit));
        List<RawClient> clients = [];
        for (int i = 0; i < Clients; i++)
        {
            clients.Add(await server.ConnectAsync());
        }

        await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 103).Any(), "the warning is there");
        Assert.InRange(server.Factory!.GetStatistics().AcceptedConnections, 1, clients.Count - 1);
        LogEntry warning = Assert.Single(server.Logs.Above(LogLevel.Information));
        Assert.Contains($"all of the process's {limit} descriptors but a reserve", warning.Message, StringComparison.Ordinal);

        // The oldest ones go, so that the others fit.
        clients.GetRange(0, Clients - 50).ForEach(static client => client.Dispose());
        foreach (RawClient client in clients[(Clients - 50)..])
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(200, (await client.ReadResponseAsync()).Status);
            client.Dispose();
        }
    }

    // Once everything is loaded that a server needs: each assembly takes two for itself.
    private static async Task<int> CountDescriptorsAsync()
    {
        await using (TestServer server = await TestServer.StartAsync(TransportKind.Netpoll))
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(200, (await client.ReadResponseAsync()).Status);
        }

        return Directory.GetFileSystemEntries("/proc/self/fd").Length;
    }

    private sealed class NumberingKernel : SystemCalls
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
