using System.Globalization;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Clients that send FIN behind, or in the middle of, a body that the application is still reading.</summary>
public class HalfCloseUploadScenarios
{
    private const string Post = "POST / HTTP/1.1\r\nHost: x\r\n";

    [Theory]
    [InlineData("Content-Length: 10\r\n\r\nhello")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhel")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    public Task A_FIN_in_the_middle_of_a_body(string rest) => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            byte[] buffer = new byte[3];
            await context.Request.Body.ReadExactlyAsync(buffer);
            stage.Reach("reading");
            await stage.TryAsync("read", () => context.Request.Body.CopyToAsync(Stream.Null));
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Post + rest);
            await stage.ReachedAsync("reading");
            client.Finish();
            await client.ReceiveToEndAsync();
        },

        // Which of the two ends it, Kestrel's answer 400 or the end that Kestrel hears of, is a matter of timing on both.
        OnBoth = static seen => seen.Noted("app: read: BadHttpRequestException").Logged(6).Quiet(),
        Differs = Aspects.Client | Aspects.TransportLog,
    });

    /// <summary>The application does not care why there was no body, and is not interested in an answer either. Nobody needs a warning.</summary>
    [Theory]
    [InlineData("Content-Length: 5\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n")]
    public Task A_FIN_instead_of_a_body_and_an_application_that_ignores_it(string rest) => CompareAsync(new Scenario
    {
        App = static (context, stage) => stage.TryAsync("read", async () => _ = await context.Request.Body.ReadAsync(new byte[1])),
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Post + rest);
            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Logged(6).Quiet(),

        // Whether Kestrel hears of the end before the application has begun to read; if it does, there is neither read nor answer.
        Differs = Aspects.Client | Aspects.App | Aspects.TransportLog,
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task An_upload_that_ends_in_FIN_while_the_application_reads_slowly(bool chunked) => CompareAsync(new Scenario
    {
        App = static async (context, stage) =>
        {
            await stage.ReachedAsync("sent");
            long total = 0;
            byte[] buffer = new byte[50_000];
            await stage.TryAsync("read", async () =>
            {
                for (int count; (count = await context.Request.Body.ReadAsync(buffer)) != 0; total += count)
                {
                    await Task.Delay(1);
                }
            });
            stage.Note(total.ToString(CultureInfo.InvariantCulture));
        },
        Client = async stage =>
        {
            // More than is read ahead, less than the kernel holds besides.
            const int Size = 1_500_000;
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Post + (chunked ? $"Transfer-Encoding: chunked\r\n\r\n{Size:x}\r\n" : $"Content-Length: {Size}\r\n\r\n"));
            Task sending = client.SendAsync(new byte[Size]);
            stage.Reach("sent");
            await sending;
            if (chunked)
            {
                await client.SendAsync("\r\n0\r\n\r\n");
            }

            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Logged(6).Quiet(),

        // On Sockets, Kestrel throws away what came before the FIN but was not parsed yet, and calls the request incomplete.
        OnNetpoll = static seen => seen.Noted("app: read: done", "app: 1500000"),
        Differs = Aspects.Client | Aspects.App | Aspects.TransportLog,
    });
}
