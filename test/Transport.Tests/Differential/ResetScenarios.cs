using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Clients that reset the connection: the application gets the same exceptions, and nobody gets loud about it.</summary>
public class ResetScenarios
{
    [Fact]
    public Task Before_any_byte() => ResetAsync(static _ => Task.CompletedTask);

    [Fact]
    public Task In_the_middle_of_the_headers() => ResetAsync(static client => client.SendAsync("GET / HTTP/1.1\r\nHost:"));

    [Fact]
    public Task Between_requests() => ResetAsync(static async client =>
    {
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await client.ReceiveUntilAsync("Hello, World!\r\n0\r\n\r\n");
    });

    [Theory]
    [InlineData("Content-Length: 100\r\n\r\nhello")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n20\r\nhello")]
    public Task In_the_middle_of_a_body(string rest) => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            await context.Request.Body.ReadExactlyAsync(new byte[5]);
            await stage.TryAsync("read", () =>
            {
                // The read waits before the client resets. One that begins after the reset leaves Kestrel in another state.
                Task copying = context.Request.Body.CopyToAsync(Stream.Null);
                stage.Reach("reading");
                return copying;
            });
            await stage.ReachedAsync("aborted");
            await stage.TryAsync("read again", () => context.Request.Body.CopyToAsync(Stream.Null));
            await stage.TryAsync("write", () => context.Response.WriteAsync("too late"));
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\n{rest}");
            await stage.ReachedAsync("reading");
            client.Reset();
        },
        OnBoth = static seen => seen.Noted("app: read: ConnectionResetException", "aborted: fired", "app: write: done").Logged(19).Quiet(),
    });

    [Fact]
    public Task The_application_lets_the_exception_through() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            await context.Request.Body.ReadExactlyAsync(new byte[5]);
            stage.Reach("reading");
            await context.Request.Body.CopyToAsync(Stream.Null);
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello");
            await stage.ReachedAsync("reading");
            client.Reset();
        },
        OnBoth = static seen => seen.Logged(19),

        // Whether Kestrel hears of the end before it sees the exception is timing on both: if not, it blames the application. On Sockets
        // it then also stumbles over the body that it cannot drain, and the reset is logged twice.
        OnNetpoll = static seen => Assert.All(
            seen.LoudLog, static line => Assert.Contains(" ApplicationError ConnectionReset", line, StringComparison.Ordinal)),
        Differs = Aspects.TransportLog | Aspects.LoudLog,
    });

    [Fact]
    public Task While_the_application_awaits() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            stage.Reach("started");
            await stage.ReachedAsync("aborted");
            await stage.TryAsync("write", () => context.Response.WriteAsync("too late"));
            await stage.TryAsync("write with the token", () => context.Response.WriteAsync("too late", context.RequestAborted));
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await stage.ReachedAsync("started");
            client.Reset();
        },
        OnBoth = static seen => seen.Noted("aborted: fired", "app: write: done").Logged(19).Quiet(),
    });

    [Fact]
    public Task In_the_middle_of_a_response() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            await stage.TryAsync("write", async () =>
            {
                byte[] block = new byte[64 * 1024];
                while (!stage.HasReached("aborted"))
                {
                    await context.Response.Body.WriteAsync(block);
                }
            });
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await client.ReceiveUntilAsync("\r\n\r\n");
            client.Reset();
        },
        OnBoth = static seen => seen.Noted("aborted: fired", "app: write: done").Logged(19).Quiet(),

        // How much the client took before it reset. And ours logs its own RST (8) where a send has failed, Sockets a FIN (7) or nothing.
        Differs = Aspects.Client | Aspects.TransportLog,
    });

    // Sockets does not notice until the application reads again; both then throw the same.
    [Fact]
    public Task While_back_pressure_holds_the_upload() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            stage.Reach("started");
            await stage.ReachedAsync("reset");
            await stage.TryAsync("read", () => context.Request.Body.CopyToAsync(Stream.Null));
            await stage.ReachedAsync("aborted");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n");
            await stage.ReachedAsync("started");

            // Nobody reads it: it stops where the kernel and what is read ahead are full.
            Task sending = client.TrySendAsync(new byte[20_000_000]);
            await Task.WhenAny(sending, Task.Delay(200));
            Assert.False(sending.IsCompleted);
            client.Reset();
            await Record.ExceptionAsync(() => sending);
            stage.Reach("reset");
        },
        OnBoth = static seen => seen.Noted("app: read: ConnectionResetException", "aborted: fired").Logged(19).Quiet(),
    });

    // A reset that comes while the application blocks reaches it with the next read.
    [Fact]
    public Task Before_the_application_reads() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            stage.Reach("started");
            await stage.ReachedAsync("aborted");
            await stage.TryAsync("read", () => context.Request.Body.CopyToAsync(Stream.Null));
            await stage.TryAsync("read again", () => context.Request.Body.CopyToAsync(Stream.Null));
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello");
            await stage.ReachedAsync("started");
            client.Reset();
        },
        OnBoth = static seen => seen.Noted("app: read: ConnectionResetException", "app: read again: ConnectionResetException").Logged(19).Quiet(),
    });

    private static Task ResetAsync(Func<ScriptClient, Task> script, [System.Runtime.CompilerServices.CallerMemberName] string name = "") => CompareAsync(
        new Scenario
        {
            Client = async stage =>
            {
                ScriptClient client = await stage.ConnectAsync();
                await stage.AllAcceptedAsync();
                await script(client);
                client.Reset();
            },
            OnBoth = static seen => seen.Logged(19).Quiet(),
        },
        name);
}
