using System.Diagnostics;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>A handler that blocks its thread hurts nobody else, whatever it blocks in.</summary>
[OneMode]
public sealed class BlockingHandlersTests
{
    private const string Fast = "GET /fast HTTP/1.1\r\nHost: x\r\n\r\n";
    private const string Blocking = "GET /blocking HTTP/1.1\r\nHost: x\r\n\r\n";
    private const int Blocked = 30;
    private static readonly TimeSpan WarningInterval = TimeSpan.FromSeconds(10);

    public static TheoryData<string, int> Ways
    {
        get
        {
            TheoryData<string, int> ways = [];
            foreach (string way in (string[])["sleep", "event", "lock", "task", "semaphore", "monitor", "kernel", "socket"])
            {
                ways.Add(way, 1);
            }

            ways.Add("sleep", 2);
            ways.Add("kernel", 2);
            return ways;
        }
    }

    /// <summary>On connections from before and on new ones, with as many workers as are needed, and no thread of the pool.</summary>
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Everything_else_goes_on(string way, int workers)
    {
        await using Blockade blockade = await Blockade.StartAsync(workers, way: way);
        TestServer server = blockade.Server;
        using RawClient early = await server.ConnectAsync();
        await AskAsync(early);
        await blockade.BlockAsync(Blocked);
        for (int i = 0; i < 200; i++)
        {
            await AskAsync(early);
        }

        for (int i = 0; i < 20; i++)
        {
            using RawClient late = await server.ConnectAsync();
            await AskAsync(late);
        }

        Assert.Equal(0, blockade.OnThreadPool);
        await Task.Run(static () => { }).InTime();
        Assert.True(server.Factory!.GetStatistics().HandOffs >= Blocked, "As many workers have been replaced as block.");

        // One for each handler that blocks and one for each place; whatever else there is, was needed for a moment, and is a spare.
        await BusyAsync(server, Blocked + workers);
        await blockade.ReleaseAsync();
        await BusyAsync(server, workers);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task A_handler_may_wait_for_another_request()
    {
        TaskCompletionSource<string> second = new();
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = static options => (options.WorkerCount, options.WorkerGroupCount) = (1, 1);
            setup.App = context =>
            {
                if (context.Request.Path == "/first")
                {
                    return context.Response.WriteAsync(second.Task.Result);
                }

                second.SetResult("from the second");
                return Task.CompletedTask;
            };
        });
        using RawClient waiting = await server.ConnectAsync();
        using RawClient other = await server.ConnectAsync();
        await waiting.SendAsync("GET /first HTTP/1.1\r\nHost: x\r\n\r\n");
        await other.SendAsync("GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("from the second", (await waiting.ReadResponseAsync()).Text);
    }

    /// <summary>The first answer was left to the end of the turn, in which the second handler blocks.</summary>
    [Theory]
    [InlineData(ApplicationScheduling.Workers)]
    [InlineData(ApplicationScheduling.WorkersOnly)]
    [InlineData(ApplicationScheduling.ThreadPool)]
    public async Task Pipelined_answers_are_not_held_back_by_the_next_handler(ApplicationScheduling scheduling)
    {
        await using Blockade blockade = await Blockade.StartAsync(
            workers: 1, setup => setup.Netpoll += options => options.ApplicationScheduling = scheduling);
        using RawClient client = await blockade.Server.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            await client.SendAsync(Fast + Fast + Blocking + Fast);
            Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
            Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
            blockade.Release();
            Assert.Equal("blocked", (await client.ReadResponseAsync()).Text);
            Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
            blockade.BlockAgain();
        }
    }

    [Fact]
    public async Task At_the_limit_requests_wait_and_a_warning_says_so_once()
    {
        await using Blockade blockade = await Blockade.StartAsync(
            workers: 1, static setup => setup.Netpoll += static options => options.MaxWorkerCount = 3);
        TestServer server = blockade.Server;
        var clock = Stopwatch.StartNew();
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < 10; i++)
            {
                clients.Add(await server.ConnectAsync());
                await clients[i].SendAsync(i % 2 == 0 ? Blocking : Fast);
            }

            // Three block, and a fourth is not to be had.
            await blockade.BlockedAsync(3);
            await Patience.UntilAsync(() => server.Factory!.GetStatistics().WorkerLimitReached != 0, "the limit has been reached");
            await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 108).Any(), "a warning says so");
            LogEntry[] warnings = [.. server.Logs.Of(TransportKind.Netpoll, 108)];
            LogEntry warning = warnings[0];
            Assert.InRange(warnings.Length, 1, 1 + (int)(clock.Elapsed / WarningInterval));
            Assert.Equal(LogLevel.Warning, warning.Level);
            Assert.Contains("MaxWorkerCount is 3", warning.Message, StringComparison.Ordinal);
            Assert.Equal(3, blockade.BlockedThreads.Count());
            Assert.Equal(3, server.Factory!.GetStatistics().Workers);

            blockade.Release();
            for (int i = 0; i < clients.Count; i++)
            {
                Assert.Equal(i % 2 == 0 ? "blocked" : "fast", (await clients[i].ReadResponseAsync()).Text);
            }
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    /// <summary>The process's limit of threads is near: what is left is for everything else, and the warning names it.</summary>
    [Fact]
    public async Task Where_threads_are_scarce_requests_wait_and_the_warning_names_the_limit()
    {
        var resources = new ScarceThreads();
        await using Blockade blockade = await Blockade.StartAsync(workers: 1, setup =>
            setup.Platform = new PlatformSupport(true, RuntimeInformation.ProcessArchitecture, SystemCalls.Instance) { Resources = resources });
        TestServer server = blockade.Server;
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < 10; i++)
            {
                clients.Add(await server.ConnectAsync());
                await clients[i].SendAsync(i % 2 == 0 ? Blocking : Fast);
            }

            await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 108).Any(), "a warning says so");
            LogEntry warning = server.Logs.Of(TransportKind.Netpoll, 108).First();
            Assert.Contains("118 of 120 threads (pids.max) are in use", warning.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("MaxWorkerCount", warning.Message, StringComparison.Ordinal);
            resources.AreScarce = false;
            await blockade.BlockedAsync(5);
            blockade.Release();
            for (int i = 0; i < clients.Count; i++)
            {
                Assert.Equal(i % 2 == 0 ? "blocked" : "fast", (await clients[i].ReadResponseAsync()).Text);
            }
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    private sealed class ScarceThreads() : SystemResources(new KernelFiles(SystemCalls.Instance))
    {
        internal volatile bool AreScarce = true;

        internal override bool TryRead(out ResourceReading threadReading, out ResourceReading memoryReading)
        {
            threadReading = new ResourceReading(AreScarce ? 120 : 1000, 118, "pids.max");
            memoryReading = ResourceReading.Unlimited;
            return true;
        }
    }

    private static async Task AskAsync(RawClient client)
    {
        await client.SendAsync(Fast);
        Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
    }

    private static Task BusyAsync(TestServer server, int workers) => Patience.UntilAsync(
        () => server.Factory!.GetStatistics() is var now && now.Workers - now.SpareWorkers == workers, $"{workers} workers are busy, the others spare");
}
