using System.Globalization;
using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Well-formed requests, cut and combined in every usual way.</summary>
public class RequestScenarios
{
    [Fact]
    public Task A_simple_GET() => SendAsync(GetAndClose, "#0 /");

    [Fact]
    public Task HEAD() => SendAsync("HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK");

    [Fact]
    public Task HTTP_1_0() => SendAsync("GET /old HTTP/1.0\r\n\r\n", "#0 /old");

    [Fact]
    public Task HTTP_1_0_with_keep_alive() =>
        SendAsync("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "/2");

    [Fact]
    public Task An_unknown_method() => SendAsync("BREW /pot HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "#0 /pot");

    [Fact]
    public Task An_absolute_request_target() => SendAsync("GET http://x/far HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "#0 /far");

    [Fact]
    public Task Headers_of_30_KB() => SendAsync(
        $"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{Headers(count: 30, size: 1000)}\r\n", "#0 /big");

    [Fact]
    public Task A_request_that_comes_byte_by_byte() => CompareAsync(new Scenario
    {
        App = EchoAsync,
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            foreach (char c in "POST /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
            {
                await client.SendAsync(c.ToString());
            }

            await client.ReceiveToEndAsync();
        },
        OnBoth = seen => seen.Answered("/slow hello").Ended("FIN").Logged(7).Quiet(),
    });

    [Fact]
    public Task A_keep_alive_series_that_the_client_ends() => CompareAsync(new Scenario
    {
        App = EchoAsync,
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            for (int i = 0; i < 20; i++)
            {
                await client.SendAsync($"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n");
                await client.ReceiveUntilAsync($"\r\n\r\n/{i}");
            }

            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = seen => seen.Answered("HTTP/1.1 200 OK", times: 20).Ended("FIN").Logged(6).Logged(7).Quiet(),
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Sixteen_pipelined_requests(bool handlersHop) => CompareAsync(new Scenario
    {
        App = async (context, stage) =>
        {
            if (handlersHop)
            {
                await Task.Yield();
            }

            await EchoAsync(context, stage);
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(string.Concat(Enumerable.Range(0, 15).Select(i => $"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n")) + GetAndClose);
            await client.ReceiveToEndAsync();
        },
        OnBoth = seen => seen.Answered("HTTP/1.1 200 OK", times: 16).Ended("FIN").Quiet(),
    });

    [Fact]
    public Task A_body_with_Content_Length() =>
        SendAsync("POST /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world", "/c hello world");

    [Fact]
    public Task A_chunked_body_with_extensions_and_trailers() => SendAsync(
        "POST /k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nAfter: all\r\n\r\n",
        "/k hello world");

    [Fact]
    public Task A_body_behind_Expect_100_continue() => CompareAsync(new Scenario
    {
        App = EchoAsync,
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("POST /e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
            await client.ReceiveUntilAsync("100 Continue\r\n\r\n");
            await client.SendAsync("hello");
            await client.ReceiveToEndAsync();
        },
        OnBoth = seen => seen.Answered("100 Continue").Answered("/e hello").Ended("FIN").Quiet(),
    });

    [Fact]
    public Task Four_connections_at_once() => CompareAsync(new Scenario
    {
        App = EchoAsync,
        Client = async stage =>
        {
            ScriptClient[] clients = [await stage.ConnectAsync(), await stage.ConnectAsync(), await stage.ConnectAsync(), await stage.ConnectAsync()];
            await Task.WhenAll(clients.Select(static async client =>
            {
                await client.SendAsync(GetAndClose);
                await client.ReceiveToEndAsync();
            }));
        },
        OnBoth = seen => seen.Answered("HTTP/1.1 200 OK", times: 4).Ended("FIN").Quiet(),
    });

    internal static string Headers(int count, int size) => string.Concat(Enumerable.Range(0, count).Select(i =>
        string.Create(CultureInfo.InvariantCulture, $"X-{i}: {new string('v', size)}\r\n")));

    internal static async Task EchoAsync(HttpContext context, Stage stage)
    {
        using var reader = new StreamReader(context.Request.Body);
        string body = await reader.ReadToEndAsync();
        string answer = body.Length == 0 ? context.Request.Path : $"{context.Request.Path} {body}";
        context.Response.ContentLength = answer.Length;
        await context.Response.WriteAsync(answer);
    }

    private static Task SendAsync(string request, string answer, [System.Runtime.CompilerServices.CallerMemberName] string name = "") => CompareAsync(
        new Scenario
        {
            App = EchoAsync,
            Client = async stage =>
            {
                ScriptClient client = await stage.ConnectAsync();
                await client.SendAsync(request);
                await client.ReceiveToEndAsync();
            },
            OnBoth = seen => seen.Answered(answer).Ended("FIN").Logged(7).Quiet(),
        },
        name);
}
