using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Every way in which an application ends its response, or does not.</summary>
public class ResponseScenarios
{
    [Fact]
    public Task With_Content_Length() => GetAsync(
        static async context =>
        {
            context.Response.ContentLength = 11;
            await context.Response.WriteAsync("hello");
            await context.Response.WriteAsync(" world");
        },
        seen => seen.Answered("#0 hello world").Ended("FIN").Quiet());

    [Fact]
    public Task Chunked() => GetAsync(
        static async context =>
        {
            await context.Response.WriteAsync("hello");
            await context.Response.Body.FlushAsync();
            await context.Response.WriteAsync(" world");
        },
        seen => seen.Answered("Transfer-Encoding: chunked").Answered("hello").Ended("FIN").Quiet());

    [Fact]
    public Task Nothing_at_all() => GetAsync(static _ => Task.CompletedTask, seen => seen.Answered("Content-Length: 0").Ended("FIN").Quiet());

    [Fact]
    public Task Of_a_megabyte() => GetAsync(
        static async context =>
        {
            byte[] block = new byte[100_000];
            for (int i = 0; i < 10; i++)
            {
                Array.Fill(block, (byte)('a' + i));
                await context.Response.Body.WriteAsync(block);
            }
        },
        seen => seen.Answered("HTTP/1.1 200 OK").Ended("FIN").Quiet());

    [Fact]
    public Task To_HTTP_1_0_ended_by_the_close() => GetAsync(
        static context => context.Response.WriteAsync("all of it"),
        seen => seen.Answered("#0 all of it").Ended("FIN").Quiet(),
        "GET / HTTP/1.0\r\n\r\n");

    [Fact]
    public Task The_application_throws_before_it_has_started() => GetAsync(
        static _ => throw new InvalidOperationException("thrown on purpose"),
        seen =>
        {
            seen.Answered("HTTP/1.1 500").Ended("FIN");
            Assert.Single(seen.LoudLog);
        });

    // Kestrel cannot take back what it has sent, so it ends the connection before the last chunk.
    [Fact]
    public Task The_application_throws_after_it_has_started() => GetAsync(
        static async context =>
        {
            await context.Response.WriteAsync("a part");
            await context.Response.Body.FlushAsync();
            throw new InvalidOperationException("thrown on purpose");
        },
        seen =>
        {
            seen.Answered("HTTP/1.1 200 OK").Answered("#0 a part");
            Assert.DoesNotContain(seen.Client, static line => line.StartsWith("#0 0\\r", StringComparison.Ordinal));
            Assert.Single(seen.LoudLog);
        });

    [Fact]
    public Task Shorter_than_its_Content_Length() => GetAsync(
        static async context =>
        {
            context.Response.ContentLength = 100;
            await context.Response.WriteAsync("too short");
            await context.Response.Body.FlushAsync();
        },
        seen =>
        {
            seen.Answered("#0 too short");
            Assert.Single(seen.LoudLog);
        });

    [Fact]
    public Task The_application_aborts_before_it_has_started() => GetAsync(
        static context =>
        {
            context.Abort();
            return Task.CompletedTask;
        },
        seen => seen.Ended("RST").Logged(8).Quiet());

    [Fact]
    public Task The_application_aborts_after_it_has_started() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            await context.Response.WriteAsync("a part");
            await context.Response.Body.FlushAsync();
            await stage.ReachedAsync("received");
            context.Abort();
            await stage.ReachedAsync("aborted");
            await stage.TryAsync("write", () => context.Response.WriteAsync("more"));
            await stage.TryAsync("write with the token", () => context.Response.WriteAsync("more", context.RequestAborted));
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await client.ReceiveUntilAsync("a part\r\n");
            stage.Reach("received");
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Ended("RST").Noted("aborted: fired", "app: write: done").Logged(8).Quiet(),
    });

    [Fact]
    public Task The_application_aborts_in_the_middle_of_reading_the_body() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            Task reading = context.Request.Body.CopyToAsync(Stream.Null);
            context.Abort();
            await stage.TryAsync("read", () => reading);
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Ended("RST").Logged(8).Quiet(),
    });

    [Fact]
    public Task OnStarting_and_OnCompleted_run_in_order() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            context.Response.OnStarting(() =>
            {
                stage.Note("starting");
                return Task.CompletedTask;
            });
            context.Response.OnCompleted(() =>
            {
                stage.Note("completed");
                return Task.CompletedTask;
            });
            await context.Response.CompleteAsync();
            stage.Note("the response is complete");
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(GetAndClose);
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => Assert.Equal(["app: starting", "app: the response is complete", "app: completed"], seen.App),
    });

    private static Task GetAsync(
        Func<HttpContext, Task> app,
        Action<Observation> onBoth,
        string request = GetAndClose,
        [System.Runtime.CompilerServices.CallerMemberName] string name = "") => CompareAsync(
        new Scenario
        {
            App = (context, _) => app(context),
            Client = async stage =>
            {
                ScriptClient client = await stage.ConnectAsync();
                await client.SendAsync(request);
                await client.ReceiveToEndAsync();
            },
            OnBoth = onBoth,
        },
        name);
}
