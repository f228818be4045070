using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>Handlers that do not end keep nobody from stopping; and when they come back, later, they do as they do on Sockets.</summary>
[OneMode]
public sealed class LeftBehindTests
{
    private const int ConnectionsLeftBehind = 107;
    private const int WorkersLeftBehind = 112;
    private const string Awaits = "await";
    private const string Computes = "compute";

    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromMilliseconds(200);

    // Far more than it takes longer than on Sockets, and less than any limit of ours that would come on top of Kestrel's.
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(4);

    // Once for all of them: on Sockets it makes no difference how a handler stays.
    private static readonly Lazy<Task<(TimeSpan Time, string[] Outcomes)>> OnSockets = new(StopSocketsAsync);

    private static readonly (string Way, int Handlers, int Groups)[] WaysToWait =
    [
        (Awaits, 1, 1),
        (Awaits, 20, 1),
        ("sleep", 1, 1),
        ("event", 20, 4),
        ("lock", 20, 1),
        ("task", 20, 2),
        ("semaphore", 1, 1),
        ("monitor", 1, 2),
        ("socket", 20, 2),
        ("kernel", 1, 1),
        ("kernel", 20, 1),
    ];

    /// <summary>All at once, as they do nothing but wait.</summary>
    [Fact]
    public Task A_handler_that_waits_is_left_behind_and_may_come_back() => Task.WhenAll(WaysToWait.Select(static async row =>
    {
        try
        {
            await LeaveBehindAsync(row.Way, row.Handlers, row.Groups);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{row}", e);
        }
    }));

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 2)]
    public Task A_handler_that_computes_is_left_behind_and_may_come_back(int handlers, int groups) =>
        LeaveBehindAsync(Computes, handlers, groups);

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    public async Task A_connection_handler_that_does_not_end_is_left_behind_and_may_come_back(int count)
    {
        List<string> outcomes = [];
        List<TimeSpan> times = [];
        foreach (TransportKind kind in new[] { TransportKind.Sockets, TransportKind.Netpoll })
        {
            int entered = 0;
            var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            ConcurrentQueue<string> ended = new();
            TestServer server = await TestServer.StartAsync(kind, setup =>
            {
                setup.ShutdownTimeout = ShutdownTimeout;
                setup.Endpoint = listen => listen.Run(async connection =>
                {
                    Interlocked.Increment(ref entered);
                    await release.Task;
                    string read = await OutcomeAsync(async () => await connection.Transport.Input.ReadAsync());
                    Memory<byte> memory = connection.Transport.Output.GetMemory(1000);
                    connection.Transport.Output.Advance(memory.Length);
                    FlushResult flushed = await connection.Transport.Output.FlushAsync();
                    ended.Enqueue($"read: {read}, flush: {flushed.IsCompleted}");
                });
            });
            List<RawClient> clients = [];
            for (int i = 0; i < count; i++)
            {
                clients.Add(await server.ConnectAsync());
            }

            await Patience.UntilAsync(() => Volatile.Read(ref entered) == count, "the handlers run");
            times.Add(await StopAsync(server));
            release.SetResult();
            await Patience.UntilAsync(() => ended.Count == count, "the handlers have ended");
            outcomes.Add(string.Join("; ", ended.Distinct()));
            clients.ForEach(static client => client.Dispose());
            await server.Pools.AllReturnedAsync();
            Assert.Empty(server.Logs.Above(LogLevel.Warning));
            if (kind == TransportKind.Netpoll)
            {
                Assert.Equal(0, server.Pools.UsesAfterDisposal);
            }
        }

        Assert.Equal(outcomes[0], outcomes[1]);
        Assert.True(times[1] < times[0] + Tolerance, $"The stop took {times[1]}, and on Sockets {times[0]}.");
    }

    private static async Task LeaveBehindAsync(string way, int handlers, int groups)
    {
        (TimeSpan usual, string[] outcomes) = await OnSockets.Value;
        using App app = new(way);
        TimeSpan time = await StopAsync(TransportKind.Netpoll, app, handlers, groups);
        Assert.True(time < usual + Tolerance, $"The stop took {time}, and on Sockets {usual}.");
        AssertLogged(app, ConnectionsLeftBehind, handlers);
        AssertLogged(app, WorkersLeftBehind, way == Awaits ? 0 : app.Workers.Count);

        app.Release();
        await app.EndedAsync();
        Assert.Equal(outcomes, app.Outcomes.Distinct());
        Assert.Equal(handlers, app.Outcomes.Count);
        if (way != Awaits)
        {
            await Patience.UntilAsync(() => app.Workers.All(static thread => !thread.IsAlive), "the workers have gone");
        }

        await app.Server!.Pools.AllReturnedAsync();
        await Patience.UntilAsync(() => app.Server.Pools.DisposedPools == groups, "the pools are disposed of");
        Assert.Equal(0, app.Server.Pools.UsesAfterDisposal);
        Assert.Empty(app.Server.Logs.Above(LogLevel.Warning));
    }

    private static async Task<(TimeSpan Time, string[] Outcomes)> StopSocketsAsync()
    {
        using App app = new(Awaits);
        TimeSpan time = await StopAsync(TransportKind.Sockets, app, 1, 1);
        app.Release();
        await app.EndedAsync();
        return (time, [.. app.Outcomes.Distinct()]);
    }

    private static async Task<TimeSpan> StopAsync(TransportKind kind, App app, int handlers, int groups)
    {
        app.Server = await TestServer.StartAsync(kind, setup =>
        {
            setup.ShutdownTimeout = ShutdownTimeout;
            setup.App = app.RunAsync;
            setup.Netpoll = options => (options.WorkerCount, options.WorkerGroupCount) = (groups, groups);
        });
        for (int i = 0; i < handlers; i++)
        {
            RawClient client = await app.Server.ConnectAsync();
            app.Clients.Add(client);
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly a part");
            await Patience.UntilAsync(() => app.Entered == app.Clients.Count, "the handler runs");
        }

        return await StopAsync(app.Server);
    }

    private static async Task<TimeSpan> StopAsync(TestServer server)
    {
        long begun = Stopwatch.GetTimestamp();
        await server.DisposeAsync();
        return Stopwatch.GetElapsedTime(begun);
    }

    private static void AssertLogged(App app, int id, int number)
    {
        LogEntry[] entries = [.. app.Server!.Logs.Of(TransportKind.Netpoll, id)];
        Assert.Equal(number == 0 ? 0 : 1, entries.Length);
        Assert.All(entries, entry => Assert.StartsWith(number.ToString(CultureInfo.InvariantCulture) + " ", entry.Message));
    }

    private static async Task<string> OutcomeAsync(Func<Task> action)
    {
        try
        {
            await action();
            return "done";
        }
        catch (Exception e)
        {
            return e.GetType().Name;
        }
    }

    private sealed class App(string way) : IDisposable
    {
        private readonly Obstacle _obstacle = new(way);
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ConcurrentQueue<Thread> _workers = new();
        private volatile bool _isReleased;
        private int _entered;

        internal TestServer? Server { get; set; }

        internal List<RawClient> Clients { get; } = [];

        internal int Entered => Volatile.Read(ref _entered);

        /// <summary>The threads that handlers run on, but for those of the thread pool.</summary>
        internal ConcurrentQueue<Thread> Workers => _workers;

        internal ConcurrentQueue<string> Outcomes { get; } = new();

        internal Task EndedAsync() => Patience.UntilAsync(() => Outcomes.Count == Entered, "the handlers have ended");

        internal void Release()
        {
            _isReleased = true;
            _released.TrySetResult();
            _obstacle.Release();
        }

        internal async Task RunAsync(HttpContext context)
        {
            if (!Thread.CurrentThread.IsThreadPoolThread)
            {
                _workers.Enqueue(Thread.CurrentThread);
            }

            Interlocked.Increment(ref _entered);
            switch (way)
            {
                case Awaits:
                    await _released.Task;
                    break;
                case Computes:
                    while (!_isReleased)
                    {
                        Thread.SpinWait(10);
                    }

                    break;
                default:
                    _obstacle.Block();
                    break;
            }

            string write = await OutcomeAsync(async () =>
            {
                await context.Response.WriteAsync(new string('x', 100_000));
                await context.Response.Body.FlushAsync();
            });
            string read = await OutcomeAsync(async () => await context.Request.Body.CopyToAsync(Stream.Null));
            Outcomes.Enqueue($"write: {write}, read: {read}");
        }

        public void Dispose()
        {
            Release();
            Clients.ForEach(static client => client.Dispose());
            _obstacle.Dispose();
        }
    }
}
