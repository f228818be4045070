using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>
/// Clients that send FIN right behind the request and wait for the answer. Kestrel ends the connection when it hears of the FIN.
/// Ours tells it after the turn in which the application answers, so that such clients get their answer; on Sockets the two race.
/// </summary>
public class HalfCloseScenarios
{
    private const string Post = "POST / HTTP/1.1\r\nHost: x\r\n";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_handler_that_answers_at_once(bool onFreshConnection) => AnswerAsync(
        onFreshConnection, Get, static context => context.Response.WriteAsync("answer"), seen => seen.Answered("answer"));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_handler_that_blocks(bool onFreshConnection) => AnswerAsync(
        onFreshConnection,
        Get,
        static context =>
        {
            Thread.Sleep(20);
            return context.Response.WriteAsync("answer");
        },
        seen => seen.Answered("answer"));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task HTTP_1_0_without_keep_alive(bool onFreshConnection) => AnswerAsync(
        onFreshConnection, "GET / HTTP/1.0\r\n\r\n", static context => context.Response.WriteAsync("answer"), seen => seen.Answered("answer"));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Pipelined_requests(bool onFreshConnection) => AnswerAsync(
        onFreshConnection,
        string.Concat(Enumerable.Repeat(Get, 5)),
        static async context =>
        {
            context.Response.ContentLength = 7;
            await context.Response.WriteAsync("answer\n");
        },
        seen => seen.Answered("#0 answer", times: 5));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_body_with_Content_Length(bool onFreshConnection) => AnswerAsync(
        onFreshConnection, $"{Post}Content-Length: 5\r\n\r\nhello", AnswerWithBodyAsync, seen => seen.Answered("got hello"));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_chunked_body(bool onFreshConnection) => AnswerAsync(
        onFreshConnection, $"{Post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", AnswerWithBodyAsync, seen => seen.Answered("got hello"));

    // The FIN comes while the handler awaits: Kestrel ends the connection on both transports, and the answer is lost on both.
    [Fact]
    public Task A_handler_that_awaits() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            stage.Reach("started");
            await stage.ReachedAsync("aborted");
            await stage.TryAsync("write", () => context.Response.WriteAsync("too late"));
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await stage.ReachedAsync("started");
            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Noted("aborted: fired", "app: write: done").Ended("FIN").Logged(6).Logged(7).Quiet(),
    });

    // As before, but nobody waits for the request to be started. On Sockets the connection may be over before the request is seen.
    [Fact]
    public Task A_handler_that_awaits_and_a_client_that_does_not() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            await stage.ReachedAsync("aborted");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Ended("FIN").Logged(6).Logged(7).Quiet(),
        OnNetpoll = static seen => seen.Noted("aborted: fired"),
        Differs = Aspects.App,
    });

    private static async Task AnswerWithBodyAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.Latin1);
        await context.Response.WriteAsync($"got {await reader.ReadToEndAsync()}");
    }

    private static Task AnswerAsync(
        bool onFreshConnection,
        string request,
        Func<HttpContext, Task> app,
        Action<Observation> onNetpoll,
        [CallerMemberName] string name = "") => CompareAsync(
        new Scenario
        {
            App = (context, _) => context.Request.Path == "/first" ? context.Response.WriteAsync("first") : app(context),
            Client = async stage =>
            {
                ScriptClient client = await stage.ConnectAsync();
                if (!onFreshConnection)
                {
                    await client.SendAsync("GET /first HTTP/1.1\r\nHost: x\r\n\r\n");
                    await client.ReceiveUntilAsync("first\r\n0\r\n\r\n");
                }

                await client.SendAsync(request);
                client.Finish();
                await client.ReceiveToEndAsync();
            },
            OnBoth = seen => seen.Quiet(),
            OnNetpoll = seen => onNetpoll(seen.Ended("FIN").Logged(7)),
            Differs = Aspects.Client | Aspects.TransportLog,
        },
        name);
}
