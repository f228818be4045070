using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Http;

public class AbortTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task RequestAborted_fires_when_the_client_ends(TransportKind kind)
    {
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            context.RequestAborted.Register(() => aborted.TrySetResult());
            started.TrySetResult();
            await aborted.Task;
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Request);
        await started.Task.InTime();

        client.ShutdownSend();

        await aborted.Task.InTime();
        await client.ReadToEndAsync();
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task HttpContext_Abort_resets_the_connection(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(Request);

        Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
        await Patience.UntilAsync(() => server.Logs.Of(kind, 8).Any(), "the RST is logged");
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_reset_before_during_or_after_a_request_is_nothing_above_Debug(TransportKind kind)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            try
            {
                started.TrySetResult();
                await context.Request.Body.CopyToAsync(Stream.Null);
                await context.Response.WriteAsync("done");
            }
            catch (ConnectionResetException)
            {
                // Kestrel would report what the application does not handle.
            }
        });

        using (RawClient before = await server.ConnectAsync())
        {
            before.Reset();
        }

        using (RawClient during = await server.ConnectAsync())
        {
            await during.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
            await started.Task.InTime();
            during.Reset();
        }

        using (RawClient after = await server.ConnectAsync())
        {
            await after.SendAsync(Request);
            await after.ReadResponseAsync();
            after.Reset();
        }

        await Patience.UntilAsync(() => server.Logs.Of(kind, 19).Count() >= 2, "the resets are logged");
        await server.Pools.AllReturnedAsync();

        // On Sockets, Kestrel itself then fails to drain the body, and says so.
        Assert.DoesNotContain(server.Logs.Above(LogLevel.Information), entry => kind == TransportKind.Netpoll || entry.Category == LogCollector.Sockets);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Reading_the_body_of_a_reset_connection_throws(TransportKind kind)
    {
        var outcome = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            started.TrySetResult();
            outcome.TrySetResult(await Record.ExceptionAsync(() => context.Request.Body.CopyToAsync(Stream.Null)));
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
        await started.Task.InTime();

        client.Reset();

        Assert.IsType<ConnectionResetException>(await outcome.Task.InTime());
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Aborting_during_a_read_ends_the_read(TransportKind kind)
    {
        var outcome = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            Task reading = context.Request.Body.CopyToAsync(Stream.Null);
            context.Abort();
            outcome.TrySetResult(await Record.ExceptionAsync(() => reading));
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");

        Assert.IsAssignableFrom<OperationCanceledException>(await outcome.Task.InTime());
        Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Writing_to_a_client_that_has_gone_does_not_throw(TransportKind kind)
    {
        var outcome = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            context.RequestAborted.Register(() => gone.TrySetResult());
            started.TrySetResult();
            await gone.Task;
            outcome.TrySetResult(await Record.ExceptionAsync(async () =>
            {
                for (int i = 0; i < 20; i++)
                {
                    await context.Response.Body.WriteAsync(new byte[10_000]);
                }
            }));
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Request);
        await started.Task.InTime();

        client.Reset();

        Assert.Null(await outcome.Task.InTime());
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_client_that_resets_in_the_middle_of_a_response_ends_it(TransportKind kind)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            byte[] block = new byte[64 * 1024];
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(block);
            }

            ended.TrySetResult();
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Request);
        await client.ReadExactlyAsync(100_000);

        client.Reset();

        await ended.Task.InTime();
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }
}
