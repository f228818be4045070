using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Streams of HTTP/2 that share a connection come and go without each other.</summary>
public class Http2StreamTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_hundred_streams_are_open_at_once_on_one_connection(TransportKind kind)
    {
        const int Streams = 100;
        int arrived = 0;
        var allHere = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await Http2Server.StartAsync(kind, async context =>
        {
            if (Interlocked.Increment(ref arrived) == Streams)
            {
                allHere.SetResult();
            }

            await allHere.Task;
            await context.Response.WriteAsync(context.Request.Path.Value!);
        });

        string[] answers = await Task.WhenAll(Enumerable.Range(0, Streams).Select(i => server.Client.GetStringAsync($"/{i}"))).InTime();

        Assert.Equal(Enumerable.Range(0, Streams).Select(static i => $"/{i}"), answers);
        Assert.Equal(1, server.Connections);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_stream_that_the_server_resets_ends_alone(TransportKind kind)
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await Http2Server.StartAsync(kind, async context =>
        {
            switch (context.Request.Path.Value)
            {
                case "/reset":
                    context.Features.GetRequiredFeature<IHttpResetFeature>().Reset(errorCode: 11);
                    break;
                case "/abort-in-body":
                    await context.Response.WriteAsync("part");
                    await context.Response.Body.FlushAsync();
                    context.Abort();
                    break;
                default:
                    waiting.TrySetResult();
                    await release.Task;
                    await context.Response.WriteAsync("untouched");
                    break;
            }
        });
        Task<string> bystander = server.Client.GetStringAsync("/wait");
        await waiting.Task.InTime();

        HttpRequestException reset = await Assert.ThrowsAsync<HttpRequestException>(() => server.Client.GetAsync("/reset").InTime());
        Assert.Equal(11, Assert.IsType<HttpProtocolException>(reset.InnerException).ErrorCode);
        using HttpResponseMessage started = await server.Client.GetAsync("/abort-in-body", HttpCompletionOption.ResponseHeadersRead).InTime();
        await Assert.ThrowsAnyAsync<Exception>(() => started.Content.ReadAsStringAsync().InTime());

        release.SetResult();
        Assert.Equal("untouched", await bystander.InTime());
        Assert.Equal(1, server.Connections);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_stream_that_the_client_cancels_ends_alone(TransportKind kind)
    {
        const int Cancelled = 20;
        using var started = new SemaphoreSlim(0);
        using var aborted = new SemaphoreSlim(0);
        await using var server = await Http2Server.StartAsync(kind, async context =>
        {
            if (context.Request.Path == "/wait")
            {
                var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                context.RequestAborted.Register(() => gone.SetResult());
                started.Release();
                await gone.Task;
                aborted.Release();
            }
        });
        for (int i = 0; i < Cancelled; i++)
        {
            using var cancellation = new CancellationTokenSource();
            Task<HttpResponseMessage> request = server.Client.GetAsync("/wait", cancellation.Token);
            await started.WaitAsync().InTime();

            await cancellation.CancelAsync();

            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request.InTime());
            await aborted.WaitAsync().InTime();
        }

        (await server.Client.GetAsync("/").InTime()).Dispose();
        Assert.Equal(1, server.Connections);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Trailers_follow_the_body(TransportKind kind)
    {
        await using var server = await Http2Server.StartAsync(kind, static async context =>
        {
            context.Response.DeclareTrailer("X-Sum");
            for (int i = 0; i < 10; i++)
            {
                await context.Response.Body.WriteAsync(new byte[9999]);
            }

            context.Response.AppendTrailer("X-Sum", "99990");
            context.Response.AppendTrailer("X-Long", new string('t', 10_000));
        });

        using HttpResponseMessage response = await server.Client.GetAsync("/").InTime();

        Assert.Equal(99_990, (await response.Content.ReadAsByteArrayAsync()).Length);
        Assert.Equal("99990", response.TrailingHeaders.GetValues("X-Sum").Single());
        Assert.Equal(10_000, response.TrailingHeaders.GetValues("X-Long").Single().Length);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_connection_that_breaks_aborts_every_stream_on_it(TransportKind kind)
    {
        using var started = new SemaphoreSlim(0);
        using var aborted = new SemaphoreSlim(0);
        await using var server = await Http2Server.StartAsync(kind, async context =>
        {
            var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            context.RequestAborted.Register(() => gone.SetResult());
            started.Release();
            await gone.Task;
            aborted.Release();
        });
        Task<HttpResponseMessage>[] requests = [.. Enumerable.Range(0, 10).Select(i => server.Client.GetAsync($"/{i}"))];
        for (int i = 0; i < requests.Length; i++)
        {
            await started.WaitAsync().InTime();
        }

        server.BreakClient();

        for (int i = 0; i < requests.Length; i++)
        {
            await aborted.WaitAsync().InTime();
            await Assert.ThrowsAnyAsync<Exception>(() => requests[i].InTime());
        }

        await server.PoolsReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }
}
