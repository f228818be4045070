using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class ServerSentEventsTests
{
    [Theory]
    [ClassData(typeof(TransportsAndVersions))]
    public async Task Each_event_arrives_before_the_next_is_sent(TransportKind kind, string version)
    {
        const int Events = 100;
        var acknowledged = Channel.CreateUnbounded<int>();
        await using TestServer server = await StartAsync(kind, version, async context =>
        {
            context.Response.ContentType = "text/event-stream";
            for (int i = 0; i < Events; i++)
            {
                await context.Response.WriteAsync($"id: {i}\ndata: event {i}\n\n");
                await context.Response.Body.FlushAsync();
                Assert.Equal(i, await acknowledged.Reader.ReadAsync());
            }
        });
        using HttpClient client = HttpClients.Create(server, version);
        using Stream stream = await client.GetStreamAsync("/").InTime();

        int expected = 0;
        await foreach (SseItem<string> item in SseParser.Create(stream).EnumerateAsync())
        {
            Assert.Equal($"event {expected}", item.Data);
            Assert.True(acknowledged.Writer.TryWrite(expected++));
        }

        Assert.Equal(Events, expected);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(TransportsAndVersions))]
    public async Task RequestAborted_fires_when_the_client_leaves(TransportKind kind, string version)
    {
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await StartAsync(
            kind, version, context => Results.ServerSentEvents(EndlessAsync(aborted, context.RequestAborted)).ExecuteAsync(context));

        // It leaves at once: it does not wait for the rest of a response.
        using HttpClient client = HttpClients.Create(
            server,
            version,
            configure: static handler => handler.ResponseDrainTimeout = TimeSpan.Zero);

        using (Stream stream = await client.GetStreamAsync("/").InTime())
        {
            await foreach (SseItem<string> item in SseParser.Create(stream).EnumerateAsync())
            {
                Assert.Equal("the only one", item.Data);
                break;
            }
        }

        await aborted.Task.InTime();
    }

    private static async IAsyncEnumerable<string> EndlessAsync(
        TaskCompletionSource aborted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return "the only one";
        await using (cancellationToken.Register(() => aborted.TrySetResult()))
        {
            await aborted.Task;
        }
    }

    private static Task<TestServer> StartAsync(TransportKind kind, string version, RequestDelegate app) =>
        TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options => options.Protocols = version == "2.0" ? HttpProtocols.Http2 : HttpProtocols.Http1;
            setup.App = app;
        });
}
