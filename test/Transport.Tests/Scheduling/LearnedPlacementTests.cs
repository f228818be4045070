using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Transport.Reading;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>Where a connection's handlers begin, once it is known what they do.</summary>
[OneMode]
[Collection(nameof(Alone))]
public sealed class LearnedPlacementTests
{
    private static readonly TimeSpan Work = TimeSpan.FromTicks(4 * PlaceMeter.WorkNanoseconds / TimeSpan.NanosecondsPerTick);

    /// <summary>An answer is the place where its handler has begun.</summary>
    [Fact]
    public async Task Handlers_that_work_before_they_leave_begin_on_the_thread_pool_until_they_stay()
    {
        await using TestServer server = await StartAsync();
        using RawClient client = await server.ConnectAsync();

        await UntilAsync(client, "/works", "pool");
        await UntilAsync(client, "/stays", "worker");
        await UntilAsync(client, "/works", "pool");
        await UntilAsync(client, "/blocks", "worker");
    }

    [Theory]
    [InlineData("/stays")]
    [InlineData("/blocks")]
    public async Task Others_begin_on_workers(string path)
    {
        await using TestServer server = await StartAsync();
        using RawClient client = await server.ConnectAsync();

        // On a busy machine a request may take longer than it does.
        int onPool = 0;
        for (int i = 0; i < 60; i++)
        {
            onPool += await RequestAsync(client, path) == "pool" ? 1 : 0;
        }

        Assert.InRange(onPool, 0, 20);
    }

    [Fact]
    public async Task Left_out_by_its_switch_it_learns_nothing()
    {
        const string Switch = "KestrelNetpoll.Placement";
        AppContext.SetSwitch(Switch, false);
        try
        {
            await using TestServer server = await StartAsync();
            using RawClient client = await server.ConnectAsync();
            for (int i = 0; i < 60; i++)
            {
                Assert.Equal("worker", await RequestAsync(client, "/works"));
            }
        }
        finally
        {
            AppContext.SetSwitch(Switch, true);
        }
    }

    /// <summary>Immune to a starved pool also where connections are read there.</summary>
    [Fact]
    public async Task A_connection_that_is_read_on_the_thread_pool_is_served_while_the_pool_is_blocked()
    {
        await using TestServer server = await StartAsync();
        using RawClient client = await server.ConnectAsync();
        await UntilAsync(client, "/works", "pool");
        var end = new ManualResetEventSlim();
        BlockThreadPool(end);
        string[] places = [];

        // Nothing asynchronous goes on meanwhile.
        var thread = new Thread(() => places = [.. Enumerable.Range(0, 5).Select(_ => RequestSynchronously(client.Socket, "/stays"))]);
        thread.Start();
        bool ended = thread.Join(Patience.Limit);
        end.Set();

        Assert.True(ended);

        // The pool may have had a thread for the first one.
        Assert.Equal(["worker", "worker", "worker", "worker"], places.TakeLast(4));
    }

    private static Task<TestServer> StartAsync() => TestServer.StartAsync(TransportKind.Netpoll, static setup =>
    {
        setup.Netpoll = static options => (options.ApplicationScheduling, options.WorkerCount) = (ApplicationScheduling.Workers, 2);
        setup.App = static async context =>
        {
            string place = Thread.CurrentThread.IsThreadPoolThread ? "pool" : "worker";
            switch (context.Request.Path.Value)
            {
                case "/works":
                    SpinFor(Work);
                    await Task.Yield();
                    break;
                case "/blocks":
                    Thread.Sleep(20);
                    await Task.Yield();
                    break;
            }

            context.Response.ContentLength = place.Length;
            await context.Response.BodyWriter.WriteAsync(Encoding.ASCII.GetBytes(place));
        };
    });

    private static void SpinFor(TimeSpan time)
    {
        long begin = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begin) < time)
        {
        }
    }

    private static async Task UntilAsync(RawClient client, string path, string place)
    {
        var clock = Stopwatch.StartNew();
        while (await RequestAsync(client, path) != place)
        {
            Assert.True(clock.Elapsed < Patience.Limit, $"{path} never begins on the {place}.");
        }
    }

    private static async Task<string> RequestAsync(RawClient client, string path)
    {
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        RawResponse response = await client.ReadResponseAsync();
        Assert.Equal(200, response.Status);
        return response.Text;
    }

    private static string RequestSynchronously(Socket socket, string path)
    {
        socket.Send(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        string received = "";
        byte[] buffer = new byte[1024];
        while (!received.EndsWith("pool", StringComparison.Ordinal) && !received.EndsWith("worker", StringComparison.Ordinal))
        {
            int count = socket.Receive(buffer);
            Assert.NotEqual(0, count);
            received += Encoding.ASCII.GetString(buffer, 0, count);
        }

        return received[(received.LastIndexOf('\n') + 1)..];
    }

    // More items than the pool has threads, or makes soon.
    private static void BlockThreadPool(ManualResetEventSlim end)
    {
        ThreadPool.GetMinThreads(out int threads, out _);
        int items = Math.Max(threads, ThreadPool.ThreadCount) + 64;
        for (int i = 0; i < items; i++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static state => state.Wait(Patience.Limit), end, preferLocal: false);
        }
    }
}
