using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using static KestrelNetpoll.Transport.Tests.WorkersOnly.WorkersOnlyServer;

namespace KestrelNetpoll.Transport.Tests.WorkersOnly;

/// <summary>Exceptions of an application that runs under the context of its group.</summary>
[OneMode]
public sealed class WorkersOnlyExceptionTests
{
    [Fact]
    public async Task An_exception_that_nobody_awaits_is_logged_and_everything_goes_on()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(context =>
        {
            if (context.Request.Path == "/void")
            {
                Forget();
            }

            return context.Response.WriteAsync("answer");
        });
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("answer", await GetAsync(client, "/void"));
        await Patience.UntilAsync(() => server.Logs.Entries.Any(static entry => entry.Id.Id == 109), "the exception is logged");
        LogEntry logged = Assert.Single(server.Logs.Above(LogLevel.Information));
        Assert.Equal((LogCollector.Netpoll, LogLevel.Error), (logged.Category, logged.Level));
        Assert.Equal("on purpose", Assert.IsType<InvalidOperationException>(logged.Exception).Message);
        Assert.Equal("answer", await GetAsync(client));

        static async void Forget()
        {
            await Task.Yield();
            throw new InvalidOperationException("on purpose");
        }
    }

    [Theory]
    [InlineData("/now")]
    [InlineData("/later")]
    public async Task An_exception_of_the_application_is_answered_and_logged_as_ever(string path)
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(async context =>
        {
            if (context.Request.Path == "/later")
            {
                await Task.Delay(1);
            }

            throw new InvalidOperationException("on purpose");
        });
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 3; i++)
        {
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(500, (await client.ReadResponseAsync()).Status);
        }

        await Patience.UntilAsync(() => server.Logs.Above(LogLevel.Information).Count() == 3, "all exceptions are logged");
        Assert.All(server.Logs.Above(LogLevel.Information), static entry => Assert.Equal(
            ("Microsoft.AspNetCore.Server.Kestrel", 13, "on purpose"), (entry.Category, entry.Id.Id, entry.Exception?.Message)));
    }

    [Fact]
    public async Task Exception_handlers_of_the_application_see_its_exceptions()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async _ =>
            {
                await Task.Delay(1);
                throw new InvalidOperationException("on purpose");
            },
            configure: static setup => setup.Pipeline = static app => app.Use(async (context, next) =>
            {
                try
                {
                    await next(context);
                }
                catch (InvalidOperationException e)
                {
                    await context.Response.WriteAsync($"{e.Message}: {Where()}");
                }
            }));
        using RawClient client = await server.ConnectAsync();
        Assert.Equal($"on purpose: {OnWorker}", await GetAsync(client));
    }
}
