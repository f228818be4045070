using System.Globalization;
using System.Security.Cryptography;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Http;

public class LargeBodyTests
{
    private const int Megabyte = 1024 * 1024;
    private const int UploadSize = 64 * Megabyte;
    private const int DownloadSize = 32 * Megabyte;

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_large_upload_arrives_whole(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, HashBodyAsync);
        using RawClient client = await server.ConnectAsync();
        using var content = new HashingContent(seed: 1);

        await client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {UploadSize}\r\n\r\n");
        byte[] block = new byte[Megabyte];
        for (int sent = 0; sent < UploadSize; sent += block.Length)
        {
            content.Fill(block);
            await client.SendAsync(block);
        }

        Assert.Equal($"{UploadSize} {content.Hash()}", (await client.ReadResponseAsync()).Text);
        await DisconnectAndCheckAsync(server, client);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_chunked_upload_arrives_whole(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, HashBodyAsync);
        using RawClient client = await server.ConnectAsync();
        using var content = new HashingContent(seed: 2);

        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        int total = 0;
        for (int size = 1; size < Megabyte; size = (size * 3) + 1)
        {
            byte[] chunk = new byte[size];
            content.Fill(chunk);
            await client.SendAsync(size.ToString("x", CultureInfo.InvariantCulture) + "\r\n");
            await client.SendAsync(chunk);
            await client.SendAsync("\r\n");
            total += size;
        }

        await client.SendAsync("0\r\n\r\n");

        Assert.Equal($"{total} {content.Hash()}", (await client.ReadResponseAsync()).Text);
        await DisconnectAndCheckAsync(server, client);
    }

    [Theory]
    [InlineData(TransportKind.Sockets, false)]
    [InlineData(TransportKind.Netpoll, false)]
    [InlineData(TransportKind.Sockets, true)]
    [InlineData(TransportKind.Netpoll, true)]
    public async Task A_large_download_arrives_whole_at_a_reader_that_pauses(TransportKind kind, bool chunked)
    {
        var sentHash = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            using var content = new HashingContent(seed: 3);
            context.Response.ContentLength = chunked ? null : DownloadSize;
            byte[] block = new byte[100_000];
            for (int sent = 0; sent < DownloadSize; sent += block.Length)
            {
                int count = Math.Min(block.Length, DownloadSize - sent);
                content.Fill(block.AsSpan(0, count));
                await context.Response.Body.WriteAsync(block.AsMemory(0, count));
            }

            sentHash.SetResult(content.Hash());
        });
        using RawClient client = await server.ConnectAsync();
        client.Socket.ReceiveBufferSize = 16 * 1024;
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

        // Long enough for everything between the two ends to fill up.
        await Task.Delay(100);
        Assert.False(sentHash.Task.IsCompleted);

        RawResponse response = await client.ReadResponseAsync();
        Assert.Equal(DownloadSize, response.Body.Length);
        Assert.Equal(await sentHash.Task.InTime(), Convert.ToHexStringLower(SHA256.HashData(response.Body)));
        await DisconnectAndCheckAsync(server, client);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Upload_and_download_run_at_the_same_time(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            context.Response.ContentLength = context.Request.ContentLength;
            await context.Request.Body.CopyToAsync(context.Response.Body);
        });
        using RawClient client = await server.ConnectAsync();
        byte[] content = new byte[8 * Megabyte];
        new Random(4).NextBytes(content);

        Task sending = Task.Run(async () =>
        {
            await client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {content.Length}\r\n\r\n");
            await client.SendAsync(content);
        });
        RawResponse response = await client.ReadResponseAsync();
        await sending.InTime();

        Assert.True(content.AsSpan().SequenceEqual(response.Body));
        await DisconnectAndCheckAsync(server, client);
    }

    public static TheoryData<long?, long?> BufferLimits => new()
    {
        { 1, 1 }, { 5, 5 }, { 4095, 4097 }, { 65_536, 1_000 }, { null, null }, { 0, 0 },
    };

    [Theory]
    [MemberData(nameof(BufferLimits))]
    public async Task Any_limits_let_an_upload_and_its_echo_through(long? read, long? write)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = options => (options.MaxReadBufferSize, options.MaxWriteBufferSize) = (read, write);
            setup.App = context =>
            {
                context.Response.ContentLength = context.Request.ContentLength;
                return context.Request.Body.CopyToAsync(context.Response.Body);
            };
        });
        using RawClient client = await server.ConnectAsync();
        byte[] content = new byte[300_000];
        new Random(5).NextBytes(content);

        Task sending = Task.Run(async () =>
        {
            await client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {content.Length}\r\n\r\n");
            await client.SendAsync(content);
        });
        RawResponse response = await client.ReadResponseAsync();
        await sending.InTime();

        Assert.True(content.AsSpan().SequenceEqual(response.Body));
        await DisconnectAndCheckAsync(server, client);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task An_upload_that_nobody_reads_is_held_back_and_goes_on(TransportKind kind)
    {
        var readNow = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, async context =>
        {
            await readNow.Task;
            await HashBodyAsync(context);
        });
        using RawClient client = await server.ConnectAsync();
        using var content = new HashingContent(seed: 6);
        byte[] body = new byte[32 * Megabyte];
        content.Fill(body);
        await client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {body.Length}\r\n\r\n");

        Task sending = client.SendAsync(body);
        await Task.Delay(100);
        Assert.False(sending.IsCompleted, "the kernel's buffers and ours are full");
        Assert.InRange(server.Pools.RentedBlocks, 0, 2 * Megabyte / 4096);
        readNow.SetResult();
        await sending.InTime();

        Assert.Equal($"{body.Length} {content.Hash()}", (await client.ReadResponseAsync()).Text);
        await DisconnectAndCheckAsync(server, client);
    }

    private static async Task HashBodyAsync(HttpContext context)
    {
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[50_000];
        long length = 0;
        int count;
        while ((count = await context.Request.Body.ReadAsync(buffer)) != 0)
        {
            hash.AppendData(buffer.AsSpan(0, count));
            length += count;
        }

        await context.Response.WriteAsync($"{length} {Convert.ToHexStringLower(hash.GetHashAndReset())}");
    }

    private static async Task DisconnectAndCheckAsync(TestServer server, RawClient client)
    {
        client.ShutdownSend();
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }
}
