using System.Collections.Concurrent;
using System.IO.Pipes;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>A handler that blocks its thread hurts nobody else, whatever it blocks in.</summary>
public sealed class BlockingHandlersTests
{
    private const string Fast = "GET /fast HTTP/1.1\r\nHost: x\r\n\r\n";
    private const string Blocking = "GET /blocking HTTP/1.1\r\nHost: x\r\n\r\n";
    private const int Blocked = 30;

    public static TheoryData<string, int> Ways
    {
        get
        {
            TheoryData<string, int> ways = [];
            foreach (string way in (string[])["sleep", "event", "lock", "task", "semaphore", "kernel"])
            {
                ways.Add(way, 1);
            }

            ways.Add("sleep", 2);
            ways.Add("kernel", 2);
            return ways;
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Everything_else_goes_on(string way, int workers)
    {
        using Blocker blocker = new(way);
        await using TestServer server = await StartAsync(blocker, workers);
        List<RawClient> clients = [];
        try
        {
            using RawClient early = await server.ConnectAsync();
            await AskAsync(early);
            for (int i = 0; i < Blocked; i++)
            {
                RawClient client = await server.ConnectAsync();
                clients.Add(client);
                await client.SendAsync(Blocking);
            }

            await Patience.UntilAsync(() => blocker.Entered == Blocked, "all handlers block");

            // On a connection from before and on new ones; and the thread pool has nothing to do with it.
            for (int i = 0; i < 200; i++)
            {
                await AskAsync(early);
            }

            for (int i = 0; i < 20; i++)
            {
                using RawClient late = await server.ConnectAsync();
                await AskAsync(late);
            }

            await Task.Run(static () => { }).InTime();
            Assert.True(server.Factory!.GetStatistics().HandOffs >= Blocked, "As many workers have been replaced as block.");

            blocker.Release();
            foreach (RawClient client in clients)
            {
                Assert.Equal("blocked", (await client.ReadResponseAsync()).Text);
            }

            // Nobody blocks now: besides one worker for each place there are only spares.
            await Patience.UntilAsync(
                () => server.Factory!.GetStatistics() is var now && now.Workers - now.SpareWorkers == server.Factory.WorkerCount,
                "those that have come back are spares");
            Assert.Empty(server.Logs.Above(LogLevel.Information));
        }
        finally
        {
            blocker.Release();
            clients.ForEach(static client => client.Dispose());
        }
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
        using Blocker blocker = new("event");
        await using TestServer server = await StartAsync(blocker, 1, scheduling);
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            await client.SendAsync(Fast + Fast + Blocking + Fast);
            Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
            Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
            blocker.Release();
            Assert.Equal("blocked", (await client.ReadResponseAsync()).Text);
            Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
            blocker.BlockAgain();
        }
    }

    [Fact]
    public async Task At_the_limit_requests_wait_and_a_warning_says_so_once()
    {
        using Blocker blocker = new("event");
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = static options => (options.WorkerCount, options.WorkerGroupCount, options.MaxWorkerCount) = (1, 1, 3);
            setup.App = blocker.RunAsync;
        });
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < 10; i++)
            {
                clients.Add(await server.ConnectAsync());
                await clients[i].SendAsync(i % 2 == 0 ? Blocking : Fast);
            }

            // Three block, and a fourth is not to be had.
            await Patience.UntilAsync(() => blocker.Entered == 3, "three handlers block");
            await Patience.UntilAsync(() => server.Factory!.GetStatistics().WorkerLimitReached != 0, "the limit has been reached");
            await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 108).Any(), "a warning says so");
            LogEntry warning = Assert.Single(server.Logs.Of(TransportKind.Netpoll, 108));
            Assert.Equal(LogLevel.Warning, warning.Level);
            Assert.Contains("MaxWorkerCount is 3", warning.Message, StringComparison.Ordinal);
            Assert.Equal(3, blocker.Entered);
            Assert.Equal(3, server.Factory!.GetStatistics().Workers);

            blocker.Release();
            for (int i = 0; i < clients.Count; i++)
            {
                Assert.Equal(i % 2 == 0 ? "blocked" : "fast", (await clients[i].ReadResponseAsync()).Text);
            }
        }
        finally
        {
            blocker.Release();
            clients.ForEach(static client => client.Dispose());
        }
    }

    private static Task<TestServer> StartAsync(Blocker blocker, int workers, ApplicationScheduling? scheduling = null) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = options =>
            {
                (options.WorkerCount, options.WorkerGroupCount) = (workers, 1);
                options.ApplicationScheduling = scheduling ?? options.ApplicationScheduling;
            };
            setup.App = blocker.RunAsync;
        });

    private static async Task AskAsync(RawClient client)
    {
        await client.SendAsync(Fast);
        Assert.Equal("fast", (await client.ReadResponseAsync()).Text);
    }

    /// <summary>A route that blocks until it is released, and one that does not.</summary>
    private sealed class Blocker(string way) : IDisposable
    {
        private readonly ManualResetEventSlim _event = new();
        private readonly SemaphoreSlim _semaphore = new(0);
        private readonly Lock _lock = new();
        private readonly TaskCompletionSource _task = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ConcurrentBag<AnonymousPipeServerStream> _pipes = [];
        private volatile bool _released;
        private int _entered;

        internal int Entered => Volatile.Read(ref _entered);

        internal Task RunAsync(HttpContext context)
        {
            if (context.Request.Path == "/fast")
            {
                return context.Response.WriteAsync("fast");
            }

            if (way == "lock")
            {
                // The first one in keeps the others out.
                Interlocked.Increment(ref _entered);
                lock (_lock)
                {
                    _event.Wait(CancellationToken.None);
                }
            }
            else
            {
                Block();
            }

            return context.Response.WriteAsync("blocked");
        }

        internal void Release()
        {
            if (_released)
            {
                return;
            }

            _released = true;
            _event.Set();
            _semaphore.Release(Blocked);
            _task.TrySetResult();
            foreach (AnonymousPipeServerStream pipe in _pipes)
            {
                pipe.WriteByte(1);
            }
        }

        internal void BlockAgain()
        {
            _released = false;
            _event.Reset();
        }

        public void Dispose()
        {
            foreach (AnonymousPipeServerStream pipe in _pipes)
            {
                pipe.Dispose();
            }

            _event.Dispose();
            _semaphore.Dispose();
        }

        private void Block()
        {
            switch (way)
            {
                case "sleep":
                    Interlocked.Increment(ref _entered);
                    while (!_released)
                    {
                        Thread.Sleep(50);
                    }

                    break;
                case "event":
                    Interlocked.Increment(ref _entered);
                    _event.Wait(CancellationToken.None);
                    break;
                case "task":
                    Interlocked.Increment(ref _entered);
                    _task.Task.Wait(CancellationToken.None);
                    break;
                case "semaphore":
                    Interlocked.Increment(ref _entered);
                    _semaphore.Wait(CancellationToken.None);
                    break;
                case "kernel":
                    AnonymousPipeServerStream pipe = new(PipeDirection.Out);
                    using (AnonymousPipeClientStream reading = new(PipeDirection.In, pipe.ClientSafePipeHandle))
                    {
                        _pipes.Add(pipe);
                        Interlocked.Increment(ref _entered);
                        reading.ReadByte();
                    }

                    break;
            }
        }
    }
}
