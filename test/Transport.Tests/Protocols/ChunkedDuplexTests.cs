using System.Globalization;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>A chunked body that is answered, chunk by chunk, while it is still being sent.</summary>
public class ChunkedDuplexTests
{
    private const string Head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Each_chunk_comes_back_before_the_next_is_sent(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, EchoAsync);
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Head);
        await ReadHeadAsync(client);

        var random = new Random(1);
        foreach (int size in (int[])[1, 2, 3, 15, 16, 17, 255, 257, 4093, 4096, 4099, 65_521, 65_537, 200_003, 1])
        {
            byte[] chunk = new byte[size];
            random.NextBytes(chunk);
            Task<byte[]> receiving = ReadChunksAsync(client, size);
            await client.SendAsync(size.ToString("x", CultureInfo.InvariantCulture) + "\r\n");
            await client.SendAsync(chunk);
            await client.SendAsync("\r\n");
            Assert.Equal(chunk, await receiving.InTime());
        }

        await client.SendAsync("0\r\n\r\n");
        Assert.Equal("0", await client.ReadLineAsync());
        Assert.Equal("", await client.ReadLineAsync());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Every_byte_of_the_framing_may_come_alone(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, EchoAsync);
        using RawClient client = await server.ConnectAsync();
        string[] pieces = [.. Enumerable.Range(1, 40).Select(static i => new string((char)('A' + (i % 26)), i * 7 % 31))];
        pieces = [.. pieces.Where(static piece => piece.Length != 0)];
        string wire = Head + string.Concat(pieces.Select(static (piece, i) =>
            $"{piece.Length.ToString(i % 2 == 0 ? "x" : "X4", CultureInfo.InvariantCulture)}{(i % 5 == 0 ? ";name=\"v\"" : "")}\r\n{piece}\r\n")) + "0\r\n\r\n";

        Task sending = Task.Run(async () =>
        {
            byte[] bytes = Encoding.ASCII.GetBytes(wire);
            for (int i = 0; i < bytes.Length; i++)
            {
                await client.SendAsync(bytes.AsMemory(i, 1));
            }
        });

        Assert.Equal(string.Concat(pieces), (await client.ReadResponseAsync()).Text);
        await sending.InTime();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Trailers_of_a_request_are_read_after_its_body(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            string body = await reader.ReadToEndAsync();
            await context.Response.WriteAsync($"{body}|{context.Request.GetTrailer("X-Sum")}|{context.Request.GetTrailer("X-Long").ToString().Length}");
        });
        using RawClient client = await server.ConnectAsync();

        for (int i = 0; i < 3; i++)
        {
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-S");
            await client.SendAsync($"um: {i}\r\nX-Long: {new string('t', 20_000)}\r\n\r");
            await client.SendAsync("\n");
            Assert.Equal($"hello|{i}|20000", (await client.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_chunk_that_is_no_chunk_is_refused(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, static async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            await context.Response.WriteAsync("unreachable");
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(Head + "5\r\nhello\r\nxyz\r\n");

        Assert.Equal(400, (await client.ReadResponseAsync()).Status);
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
    }

    private static async Task EchoAsync(HttpContext context)
    {
        await context.Response.StartAsync();
        await context.Response.Body.FlushAsync();
        byte[] buffer = new byte[1021];
        int count;
        while ((count = await context.Request.Body.ReadAsync(buffer)) != 0)
        {
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, count));
            await context.Response.Body.FlushAsync();
        }
    }

    private static async Task ReadHeadAsync(RawClient client)
    {
        Assert.Equal("HTTP/1.1 200 OK", await client.ReadLineAsync());
        while ((await client.ReadLineAsync()).Length != 0)
        {
        }
    }

    /// <summary>Reads chunks, however they are cut, until they add up to a size.</summary>
    private static async Task<byte[]> ReadChunksAsync(RawClient client, int size)
    {
        byte[] bytes = new byte[size];
        for (int read = 0; read < size;)
        {
            int length = int.Parse(await client.ReadLineAsync(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            Assert.InRange(length, 1, size - read);
            (await client.ReadExactlyAsync(length)).CopyTo(bytes, read);
            Assert.Equal("", await client.ReadLineAsync());
            read += length;
        }

        return bytes;
    }
}
