using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Clients that leave, or stay, while the application is still busy with a response.</summary>
public class LeavingScenarios
{
    [Fact]
    public Task A_client_sends_FIN_while_an_endless_response_is_streamed() => CompareAsync(new Scenario
    {
        App = StreamUntilAbortedAsync,
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await client.ReceiveUntilAsync("tick");
            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Noted("aborted: fired", "app: write: done", "app: write with the token: OperationCanceledException")
            .Logged(6).Quiet(),

        // How far the response came; and on Sockets a send can meet the transport's own close, which is then logged as a reset (19).
        OnNetpoll = static seen => seen.Ended("FIN").Logged(7),
        Differs = Aspects.Client | Aspects.TransportLog,
    });

    [Fact]
    public Task A_client_closes_while_an_endless_response_is_streamed() => CompareAsync(new Scenario
    {
        App = StreamUntilAbortedAsync,
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await client.ReceiveUntilAsync("tick");
            client.Dispose();
            await stage.ReachedAsync("aborted");
        },
        OnBoth = static seen => seen.Noted("aborted: fired", "app: write: done", "app: write with the token: OperationCanceledException").Quiet(),

        // How far the response came, and whether the FIN or the RST for what came after it is seen first.
        Differs = Aspects.Client | Aspects.TransportLog,
    });

    [Fact]
    public Task A_client_sends_FIN_while_back_pressure_holds_the_response() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            byte[] block = new byte[1024 * 1024];
            await stage.TryAsync("write", async () =>
            {
                while (!stage.HasReached("aborted"))
                {
                    await context.Response.Body.WriteAsync(block);
                }
            });
            await stage.ReachedAsync("aborted");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            client.Socket.ReceiveBufferSize = 16 * 1024;
            await client.SendAsync(Get);
            await client.ReceiveUntilAsync("\r\n\r\n");
            client.Finish();
            await stage.ReachedAsync("aborted");
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Noted("aborted: fired", "app: write: done").Logged(6).Quiet(),

        // On Sockets a send can meet the transport's own close, which is then logged as a reset (19).
        OnNetpoll = static seen => seen.Logged(7),
        Differs = Aspects.Client | Aspects.TransportLog,
    });

    /// <summary>More than the kernel takes for a connection that nobody reads from: the FIN would stay with the client.</summary>
    [Theory]
    [InlineData(100_000, false)]
    [InlineData(300_000, false)]
    [InlineData(900_000, false)]
    [InlineData(300_000, true)]
    public Task A_client_closes_in_the_middle_of_a_body_that_nobody_reads(int sent, bool reset) => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            stage.Reach("started");
            await stage.ReachedAsync("aborted");
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
            await stage.ReachedAsync("started");
            await client.SendAsync(new byte[sent]);
            if (reset)
            {
                client.Finish();
                client.Reset();
            }
            else
            {
                client.Dispose();
            }

            await stage.ReachedAsync("aborted");
        },
        OnBoth = static seen => seen.Noted("aborted: fired").Quiet(),

        // Whether the FIN is seen before the RST.
        Differs = reset ? Aspects.TransportLog | Aspects.Client : Aspects.Client,
    });

    /// <summary>Request and body in one go: the edge that tells of the body is the one that told of the request.</summary>
    [Fact]
    public Task A_client_sends_all_at_once_and_closes() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            await stage.ReachedAsync("aborted");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            byte[] body = new byte[400_000];
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n"u8.CopyTo(body);
            await client.SendAsync(body);
            client.Dispose();
            await stage.ReachedAsync("aborted");
        },
        OnBoth = static seen => seen.Noted("aborted: fired").Quiet(),
        Differs = Aspects.Client,
    });

    [Fact]
    public Task The_client_keeps_the_connection_open_after_the_response() => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            stage.Watch("aborted", context.RequestAborted);
            await context.Response.WriteAsync("done");
            await context.Response.CompleteAsync();
            await stage.ReachedAsync("received");
            stage.Note("goes on");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Get);
            await client.ReceiveUntilAsync("done\r\n0\r\n\r\n");
            stage.Reach("received");
            await client.SendAsync(GetAndClose);
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("HTTP/1.1 200 OK", times: 2).Ended("FIN").Quiet(),
    });

    private static async Task StreamUntilAbortedAsync(HttpContext context, Stage stage)
    {
        stage.Watch("aborted", context.RequestAborted);
        await stage.TryAsync("write", async () =>
        {
            while (!stage.HasReached("aborted"))
            {
                await context.Response.WriteAsync("tick\n");
                await Task.Delay(1);
            }
        });
        await stage.TryAsync("write with the token", () => context.Response.WriteAsync("too late", context.RequestAborted));
    }
}
