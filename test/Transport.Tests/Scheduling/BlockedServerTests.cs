using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>While many handlers block, everything that a server does besides answering goes on, too.</summary>
[OneMode]
public sealed class BlockedServerTests
{
    private const int Blocked = 30;
    private const int Length = 4_000_000;

    private const int Beginning = 100;

    public static TheoryData<int> Workers => [1, 2];

    /// <summary>All at once, as they do nothing but wait.</summary>
    [Slow]
    [Fact]
    public Task Kestrels_timeouts_end_idle_and_slow_connections() =>
        Task.WhenAll(Workers.Select(static row => KestrelsTimeoutsAsync(row.Data)));

    private static async Task KestrelsTimeoutsAsync(int workers)
    {
        await using Blockade blockade = await Blockade.StartAsync(workers, static setup => setup.Kestrel = static options =>
        {
            // Not so short that a busy machine needs it all to connect and ask.
            options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(4);
            options.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(4);
        });
        await blockade.BlockAsync(Blocked);

        using RawClient idle = await blockade.Server.ConnectAsync();
        await idle.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("fast", (await idle.ReadResponseAsync()).Text);
        using RawClient slow = await blockade.Server.ConnectAsync();
        await slow.SendAsync("GET / HTTP/1.1\r\nHost:");

        Assert.Equal(PeerEnd.Fin, (await idle.ReadToEndAsync()).End);
        Assert.Equal(408, (await slow.ReadResponseAsync()).Status);
        await blockade.ReleaseAsync();
    }

    [Theory]
    [MemberData(nameof(Workers))]
    public async Task Uploads_and_downloads_that_have_begun_go_on(int workers)
    {
        await using Blockade blockade = await Blockade.StartAsync(workers);
        using RawClient upload = await blockade.Server.ConnectAsync();
        await upload.SendAsync($"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {Length}\r\n\r\n");
        await upload.SendAsync(new byte[Length / 2]);
        using RawClient download = await blockade.Server.ConnectAsync();
        await download.SendAsync("GET /download HTTP/1.1\r\nHost: x\r\n\r\n");
        await download.ReadExactlyAsync(Beginning);
        await blockade.BlockAsync(Blocked);

        await upload.SendAsync(new byte[Length - (Length / 2)]);
        Assert.Equal(Length.ToString(CultureInfo.InvariantCulture), (await upload.ReadResponseAsync()).Text);
        await download.ReadExactlyAsync(Length - Beginning);
        await blockade.ReleaseAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public async Task Handlers_that_block_in_every_group_do_not_keep_the_server_from_stopping(int groups)
    {
        await using Blockade blockade = await Blockade.StartAsync(groups, setup =>
        {
            setup.Netpoll += options => options.WorkerGroupCount = groups;
            setup.ShutdownTimeout = TimeSpan.FromMilliseconds(200);
        });
        await blockade.BlockAsync(3 * groups);

        await blockade.Server.StopAsync();

        // About three in each: two acceptors may find the same group to have the fewest.
        Assert.Equal(3 * groups, blockade.BlockedThreads.Count());
        Assert.All(Enumerable.Range(0, groups), group => Assert.Contains(blockade.BlockedThreads, name => IsOf(name, group)));
    }

    /// <summary>No spare is to be had, so that the group stands still; the other one does not notice.</summary>
    [Fact]
    public async Task A_group_that_stands_still_keeps_nobody_in_another_waiting()
    {
        await using Blockade blockade = await Blockade.StartAsync(2, static setup => setup.Netpoll += static options =>
            (options.WorkerGroupCount, options.MaxWorkerCount) = (2, 2));
        using RawClient first = await blockade.Server.ConnectAsync();
        string group = GroupOf((await AskAsync(first)).Text);
        using RawClient second = await blockade.Server.ConnectAsync();
        Assert.NotEqual(group, GroupOf((await AskAsync(second)).Text));
        await first.SendAsync("GET /blocking HTTP/1.1\r\nHost: x\r\n\r\n");
        await blockade.BlockedAsync(1);

        for (int i = 0; i < 100; i++)
        {
            Assert.NotEqual(group, GroupOf((await AskAsync(second)).Text));
        }

        blockade.Release();
        Assert.Equal("blocked", (await first.ReadResponseAsync()).Text);
    }

    private static async Task<RawResponse> AskAsync(RawClient client)
    {
        await client.SendAsync("GET /thread HTTP/1.1\r\nHost: x\r\n\r\n");
        return await client.ReadResponseAsync();
    }

    // "netpoll worker 0/1": the group, and the worker's number in it.
    private static string GroupOf(string? thread) => thread!.Split(' ')[2].Split('/')[0];

    private static bool IsOf(string? thread, int group) => GroupOf(thread) == group.ToString(CultureInfo.InvariantCulture);
}
