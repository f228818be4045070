using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>
/// The application answers without reading the body. Ours always delivers the complete response, also to a client that writes
/// everything before it reads. Sockets closes with bytes unread, and the RST that the kernel then sends can destroy the response.
/// </summary>
public class UnreadBodyScenarios
{
    private const int Kilobyte = 1024;
    private const int Megabyte = 1024 * Kilobyte;

    [Theory]
    [InlineData(10 * Kilobyte)]
    [InlineData(Megabyte)]
    [InlineData(10 * Megabyte)]
    public Task A_small_answer_with_keep_alive_then_the_next_request(int bodySize) => CompareAsync(new Scenario
    {
        App = (context, _) => AnswerAsync(context, size: 5),
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Post(bodySize, close: false));
            await client.SendAsync(new byte[bodySize]);
            await client.ReceiveUntilAsync("\r\n\r\naaaaa");
            await client.SendAsync(GetAndClose);
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("aaaaa", times: 2).Answered("HTTP/1.1 200 OK", times: 2).Ended("FIN").Quiet(),
    });

    [Theory]
    [InlineData(10 * Kilobyte)]
    [InlineData(Megabyte)]
    [InlineData(10 * Megabyte)]
    public Task A_small_answer_that_closes_to_a_client_that_writes_first(int bodySize) => CompareAsync(new Scenario
    {
        App = (context, _) => AnswerAsync(context, size: 5),
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.TrySendAsync(Post(bodySize, close: true));
            await client.TrySendAsync(new byte[bodySize]);
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Quiet(),
        OnNetpoll = static seen => seen.Answered("HTTP/1.1 200 OK").Answered("#0 aaaaa"),
        Differs = Aspects.Client | Aspects.TransportLog,
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task An_answer_of_10_MB_to_a_client_that_writes_10_MB_meanwhile(bool close) => CompareAsync(new Scenario
    {
        App = (context, _) => AnswerAsync(context, 10 * Megabyte),
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.TrySendAsync(Post(10 * Megabyte, close));
            Task sending = client.TrySendAsync(new byte[10 * Megabyte]);
            await client.ReceiveUntilAsync("\r\n\r\n");
            await client.ReceiveAsync((10 * Megabyte) - BodySize(client));
            await sending;
            stage.Note("body", BodySize(client).ToString(CultureInfo.InvariantCulture));
            if (!close)
            {
                await client.SendAsync(GetAndClose);
            }

            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Quiet(),
        OnNetpoll = static seen => seen.Noted($"body: {10 * Megabyte}"),
        Differs = close ? Aspects.Client | Aspects.App | Aspects.TransportLog : Aspects.None,
    });

    // Kestrel does not drain a body over the limit: it closes, and the rest comes to a closed socket.
    [Theory]
    [InlineData(100 * Kilobyte, 5)]
    [InlineData(10 * Megabyte, 5)]
    [InlineData(100 * Kilobyte, Megabyte)]
    [InlineData(10 * Megabyte, Megabyte)]
    public Task An_answer_to_a_body_over_the_limit_that_nobody_reads(int bodySize, int answerSize) => CompareAsync(new Scenario
    {
        Server = static setup => setup.Kestrel = static options => options.Limits.MaxRequestBodySize = 10_000,
        App = (context, _) => AnswerAsync(context, answerSize),
        Client = stage => WriteThenReadAsync(stage, Post(bodySize, close: false), bodySize),
        OnBoth = static _ => { },
        OnNetpoll = seen => seen.Answered("HTTP/1.1 200 OK").Noted($"body: {answerSize}").Quiet(),
        Differs = Aspects.Client | Aspects.App | Aspects.TransportLog,
    });

    [Theory]
    [InlineData(100 * Kilobyte, false)]
    [InlineData(10 * Megabyte, false)]
    [InlineData(100 * Kilobyte, true)]
    [InlineData(10 * Megabyte, true)]
    public Task A_body_over_the_limit_to_a_client_that_goes_on_sending(int bodySize, bool chunked) => CompareAsync(new Scenario
    {
        Server = static setup => setup.Kestrel = static options => options.Limits.MaxRequestBodySize = 10_000,
        App = static (context, stage) => context.Request.Body.CopyToAsync(Stream.Null),
        Client = stage => WriteThenReadAsync(
            stage,
            chunked
                ? Encoding.Latin1.GetBytes($"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{bodySize:x}\r\n")
                : Post(bodySize, close: false),
            bodySize),

        // Kestrel logs what the application lets through.
        OnBoth = static seen => Assert.Contains("BadHttpRequestException", Assert.Single(seen.LoudLog), StringComparison.Ordinal),
        OnNetpoll = static seen => seen.Answered("HTTP/1.1 413"),
        Differs = Aspects.Client | Aspects.App | Aspects.TransportLog,
    });

    [Theory]
    [InlineData(10 * Kilobyte, 5)]
    [InlineData(10 * Megabyte, 5)]
    [InlineData(10 * Kilobyte, Megabyte)]
    [InlineData(10 * Megabyte, Megabyte)]
    public Task A_handler_without_HTTP_that_answers_and_returns_with_input_unread(int sentSize, int answerSize) => CompareAsync(new Scenario
    {
        Connection = async (connection, _) =>
        {
            await connection.Transport.Input.ReadAsync();
            await connection.Transport.Output.WriteAsync(Encoding.Latin1.GetBytes("\r\n\r\n" + new string('a', answerSize)));
        },
        Client = stage => WriteThenReadAsync(stage, "x"u8.ToArray(), sentSize),
        OnBoth = static seen => seen.Quiet(),
        OnNetpoll = seen => seen.Noted($"body: {answerSize}"),
        Differs = Aspects.Client | Aspects.App | Aspects.TransportLog,
    });

    [Theory]
    [InlineData(5)]
    [InlineData(256 * Kilobyte)]
    public Task A_client_that_sends_pieces_after_the_server_has_ended_and_reads_last(int answerSize) => CompareAsync(new Scenario
    {
        Server = static setup => setup.Kestrel = static options => options.Limits.MaxRequestBodySize = 10_000,
        App = (context, _) => AnswerAsync(context, answerSize),
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(Post(Megabyte, close: false));
            await stage.AllServedAsync();
            byte[] piece = new byte[20_000];
            for (int i = 0; i < 20; i++)
            {
                await client.TrySendAsync(piece);
                await Task.Delay(2);
            }

            await client.ReceiveToEndAsync();
            stage.Note("body", BodySize(client).ToString(CultureInfo.InvariantCulture));
        },
        OnBoth = static _ => { },
        OnNetpoll = seen => seen.Answered("HTTP/1.1 200 OK").Noted($"body: {answerSize}").Quiet(),
        Differs = Aspects.Client | Aspects.App | Aspects.TransportLog,
    });

    private static async Task WriteThenReadAsync(Stage stage, byte[] head, int bodySize)
    {
        ScriptClient client = await stage.ConnectAsync();
        await client.TrySendAsync(head);
        await client.TrySendAsync(new byte[bodySize]);
        await client.ReceiveToEndAsync();
        stage.Note("body", BodySize(client).ToString(CultureInfo.InvariantCulture));
    }

    private static int BodySize(ScriptClient client) =>
        client.Received.Length - client.Received.IndexOf("\r\n\r\n", StringComparison.Ordinal) - 4;

    private static byte[] Post(int length, bool close) =>
        Encoding.Latin1.GetBytes($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{(close ? "Connection: close\r\n" : "")}\r\n");

    private static async Task AnswerAsync(HttpContext context, int size)
    {
        context.Response.ContentLength = size;
        byte[] block = new byte[Math.Min(size, 64 * Kilobyte)];
        Array.Fill(block, (byte)'a');
        for (int sent = 0; sent < size; sent += block.Length)
        {
            await context.Response.Body.WriteAsync(block.AsMemory(0, Math.Min(block.Length, size - sent)));
        }
    }
}
