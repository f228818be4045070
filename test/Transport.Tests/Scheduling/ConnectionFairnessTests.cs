using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>One connection that always has more does not keep the only worker from the others.</summary>
[OneMode]
public sealed class ConnectionFairnessTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    private const string Upload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000000\r\n\r\n";
    private const int Asked = 20;

    public static TheoryData<ApplicationScheduling> Modes => [.. Enum.GetValues<ApplicationScheduling>()];

    [Theory]
    [MemberData(nameof(Modes))]
    public async Task Endless_pipelining_starves_nobody(ApplicationScheduling mode)
    {
        await using TestServer server = await StartAsync(mode, static context =>
        {
            context.Response.ContentLength = 2;
            return context.Response.WriteAsync("ok");
        });
        using RawClient hose = await server.ConnectAsync();
        byte[] requests = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(Request, 500)));
        using CancellationTokenSource stop = new();
        Task sending = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await hose.SendAsync(requests);
            }
        });
        long received = 0;
        Task receiving = Task.Run(async () =>
        {
            byte[] buffer = new byte[64 * 1024];
            while (!sending.IsCompleted)
            {
                Volatile.Write(ref received, received + await hose.ReceiveAsync(buffer));
            }
        });
        await AskWhileAsync(server, () => Volatile.Read(ref received));

        await stop.CancelAsync();
        await sending.InTime();
        hose.Dispose();

        // It may have been in the middle of a receive.
        await receiving.ContinueWith(static _ => { }, TaskScheduler.Default).InTime();
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public async Task An_endless_upload_starves_nobody(ApplicationScheduling mode)
    {
        long uploaded = 0;
        await using TestServer server = await StartAsync(mode, async context =>
        {
            if (context.Request.Method == "POST")
            {
                byte[] buffer = new byte[64 * 1024];
                int count;
                while ((count = await context.Request.Body.ReadAsync(buffer)) != 0)
                {
                    Volatile.Write(ref uploaded, uploaded + count);
                }
            }

            context.Response.ContentLength = 2;
            await context.Response.WriteAsync("ok");
        });
        using RawClient hose = await server.ConnectAsync();
        await hose.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n");
        byte[] bytes = new byte[256 * 1024];
        using CancellationTokenSource stop = new();
        Task sending = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await hose.SendAsync(bytes);
            }
        });
        await AskWhileAsync(server, () => Volatile.Read(ref uploaded));
        await stop.CancelAsync();
        await sending.InTime();
        hose.Reset();
    }

    /// <summary>The same two with a peer that never pauses: what ends the turn is the transport, or nobody.</summary>
    [Theory]
    [InlineData(ApplicationScheduling.Workers, "", Request)]
    [InlineData(ApplicationScheduling.WorkersOnly, "", Request)]
    [InlineData(ApplicationScheduling.ThreadPool, "", Request)]
    [InlineData(ApplicationScheduling.Workers, Upload, "0123456789abcdef")]
    [InlineData(ApplicationScheduling.WorkersOnly, Upload, "0123456789abcdef")]
    [InlineData(ApplicationScheduling.ThreadPool, Upload, "0123456789abcdef")]
    public async Task A_peer_that_never_pauses_starves_nobody(ApplicationScheduling mode, string once, string again)
    {
        var systemCalls = new EndlessKernel(Encoding.ASCII.GetBytes(once), Encoding.ASCII.GetBytes(again));
        long served = 0;
        await using TestServer server = await StartAsync(
            mode,
            async context =>
            {
                byte[] buffer = new byte[4096];
                do
                {
                    Interlocked.Increment(ref served);
                }
                while (await context.Request.Body.ReadAsync(buffer) != 0);

                context.Response.ContentLength = 2;
                await context.Response.WriteAsync("ok");
            },
            systemCalls);
        using RawClient hose = await server.ConnectAsync();

        // What this kernel makes up comes without an edge, but for this one.
        await hose.SendAsync("x");
        try
        {
            await AskWhileAsync(server, () => Volatile.Read(ref served));
        }
        finally
        {
            systemCalls.Stop();
        }
    }

    // The hose goes on while the others are answered: between two answers it gets its share, too.
    private static async Task AskWhileAsync(TestServer server, Func<long> progress)
    {
        using RawClient client = await server.ConnectAsync();
        await Patience.UntilAsync(() => progress() > 0, "the hose runs");
        for (int i = 0; i < Asked; i++)
        {
            long before = progress();
            await client.SendAsync(Request);
            Assert.Equal("ok", (await client.ReadResponseAsync()).Text);
            await Patience.UntilAsync(() => progress() > before, "the hose runs on");
        }
    }

    private static Task<TestServer> StartAsync(
        ApplicationScheduling mode, RequestDelegate app, SystemCalls? systemCalls = null) => TestServer.StartAsync(TransportKind.Netpoll, setup =>
    {
        setup.SystemCalls = systemCalls;
        // No other worker is to be had: what a turn takes too much, nobody makes up for.
        setup.Netpoll = options => (options.WorkerCount, options.WorkerGroupCount, options.MaxWorkerCount, options.ApplicationScheduling) = (1, 1, 1, mode);
        setup.Kestrel = static options => (options.Limits.MaxRequestBodySize, options.Limits.MinRequestBodyDataRate) = (null, null);
        setup.LogFilter = static (_, _) => false;
        setup.App = app;
    });
}
