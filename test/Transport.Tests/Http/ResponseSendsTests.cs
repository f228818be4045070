using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Http;

/// <summary>A response leaves with one send, however many pieces the framework flushes it in, and wherever the application has gone meanwhile.</summary>
public class ResponseSendsTests
{
    private const int Requests = 200;

    /// <summary>What applications return: none of it has a Content-Length, or its headers are flushed apart.</summary>
    [Theory]
    [InlineData("/string")]
    [InlineData("/object")]
    [InlineData("/pieces")]
    [InlineData("/headers-first")]
    [InlineData("/file")]
    public Task One_send_from_within_a_turn(string path) => CountAsync(path, atMost: Requests * 5 / 4);

    /// <summary>
    /// Where nobody sees the end of a turn, the read that follows sends; on a busy machine the monitor is before it now and then. Two pieces would be 400.
    /// </summary>
    [Theory]
    [InlineData("/yield")]
    [InlineData("/three-awaits")]
    public Task One_send_after_an_await(string path) => CountAsync(path, atMost: Requests * 3 / 2);

    /// <summary>What the application does once the response is complete does not keep it from the client.</summary>
    [Theory]
    [InlineData("completed-awaits", false)]
    [InlineData("completed-blocks", false)]
    [InlineData("middleware-awaits", false)]
    [InlineData("middleware-blocks", false)]
    [InlineData("middleware-computes", false)]
    [InlineData("completed-awaits", true)]
    [InlineData("completed-blocks", true)]
    [InlineData("middleware-awaits", true)]
    [InlineData("middleware-blocks", true)]
    [InlineData("middleware-computes", true)]
    public async Task The_response_does_not_wait_for_what_follows_it(string what, bool yields)
    {
        var answered = new Answered();
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, (TestServerSetup setup) =>
        {
            setup.Netpoll = static options => options.WorkerCount = SuiteSettings.TwoWorkersForEachGroup;
            setup.App = async context =>
            {
                int request = answered.NextRequest();
                if (yields)
                {
                    await Task.Yield();
                }

                if (what == "completed-awaits")
                {
                    context.Response.OnCompleted(() => answered.WaitAsync(request));
                }
                else if (what == "completed-blocks")
                {
                    context.Response.OnCompleted(() =>
                    {
                        answered.Block(request);
                        return Task.CompletedTask;
                    });
                }

                // In two pieces, the second of which the server flushes by itself unless something follows.
                await context.Response.WriteAsync("Hello, ");
                await context.Response.WriteAsync("World!");
                await context.Response.CompleteAsync();
                switch (what)
                {
                    case "middleware-awaits":
                        await answered.WaitAsync(request);
                        break;
                    case "middleware-blocks":
                        answered.Block(request);
                        break;
                    case "middleware-computes":
                        answered.Compute(request);
                        break;
                }
            };
        });
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal("Hello, World!", await GetAsync(client, "/"));
            answered.OnAnswer();
        }
    }

    private static async Task CountAsync(string path, int atMost)
    {
        var kernel = new CountingKernel();
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, new string('x', 10_240));
            await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, (TestServerSetup setup) =>
            {
                setup.SystemCalls = kernel;
                setup.Services = static services => services.AddRouting();
                setup.Pipeline = app => Map(app, file);
            });
            using RawClient client = await server.ConnectAsync();
            string expected = await GetAsync(client, path);

            // Also for what a connection has to learn first.
            await GetAsync(client, path);
            long sends = kernel.Counts.Sends;
            for (int i = 0; i < Requests; i++)
            {
                Assert.Equal(expected, await GetAsync(client, path));
            }

            Assert.InRange(kernel.Counts.Sends - sends, Requests, atMost);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static void Map(WebApplication app, string file)
    {
        app.MapGet("/string", static () => "Hello, World!");
        app.MapGet("/object", static () => Results.Json(new { Message = "Hello, World!" }));
        app.MapGet("/file", () => Results.File(file));
        app.MapGet("/pieces", static async (HttpContext context) =>
        {
            for (int i = 0; i < 10; i++)
            {
                await context.Response.WriteAsync("piece ");
            }
        });
        app.MapGet("/headers-first", static async (HttpContext context) =>
        {
            await context.Response.StartAsync();
            PipeWriter body = context.Response.BodyWriter;
            await body.FlushAsync();
            await context.Response.WriteAsync("body");
        });
        app.MapGet("/yield", static async () =>
        {
            await Task.Yield();
            return "Hello, World!";
        });
        app.MapGet("/three-awaits", static async () =>
        {
            await Task.Run(static () => { });
            await Task.Yield();
            await Task.Run(static () => { });
            return "Hello, World!";
        });
    }

    private static async Task<string> GetAsync(RawClient client, string path)
    {
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return (await client.ReadResponseAsync()).Text;
    }

    // How many requests there were, and how many of their responses the client has.
    private sealed class Answered
    {
        private int _requests;
        private int _answers;

        internal int NextRequest() => Interlocked.Increment(ref _requests);

        internal void OnAnswer() => Interlocked.Increment(ref _answers);

        internal Task WaitAsync(int request) => Patience.UntilAsync(() => IsAnswered(request), "the client has its response");

        internal void Block(int request) => WaitAsync(request).GetAwaiter().GetResult();

        internal void Compute(int request)
        {
            DateTime end = DateTime.UtcNow + Patience.Limit;
            while (!IsAnswered(request))
            {
                Thread.SpinWait(100);
                Assert.True(DateTime.UtcNow < end, "The client never gets its response.");
            }
        }

        private bool IsAnswered(int request) => Volatile.Read(ref _answers) >= request;
    }
}
