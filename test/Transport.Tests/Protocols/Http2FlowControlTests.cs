using System.Security.Cryptography;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class Http2FlowControlTests
{
    private const int Size = 16 * 1024 * 1024;

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Large_bodies_go_both_ways_on_several_streams_at_once(TransportKind kind)
    {
        await using var server = await Http2Server.StartAsync(kind, async context =>
        {
            if (context.Request.Method == HttpMethods.Post)
            {
                await context.Response.WriteAsync(Convert.ToHexStringLower(await SHA256.HashDataAsync(context.Request.Body)));
                return;
            }

            using var content = new HashingContent(seed: 5);
            byte[] block = new byte[77_777];
            for (int sent = 0; sent < Size; sent += block.Length)
            {
                content.Fill(block);
                await context.Response.Body.WriteAsync(block);
            }

            context.Response.AppendTrailer("X-Hash", content.Hash());
        });

        await Task.WhenAll(UploadAsync(server.Client, 1), DownloadAsync(server.Client), UploadAsync(server.Client, 2), DownloadAsync(server.Client)).InTime();

        Assert.Equal(1, server.Connections);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_download_that_the_client_leaves_alone_does_not_hold_up_its_neighbours(TransportKind kind)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await Http2Server.StartAsync(kind, async context =>
        {
            if (context.Request.Path == "/large")
            {
                await context.Response.Body.WriteAsync(new byte[Size]);
                done.SetResult();
            }
            else
            {
                await context.Response.WriteAsync("small");
            }
        });
        using HttpResponseMessage large = await server.Client.GetAsync("/large", HttpCompletionOption.ResponseHeadersRead).InTime();

        for (int i = 0; i < 50; i++)
        {
            Assert.Equal("small", await server.Client.GetStringAsync("/").InTime());
        }

        // The stream's window is far smaller than the body: the server cannot have finished.
        Assert.False(done.Task.IsCompleted);
        Assert.Equal(Size, (await large.Content.ReadAsByteArrayAsync().InTime()).Length);
        await done.Task.InTime();
        Assert.Equal(1, server.Connections);
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task An_upload_that_the_handler_leaves_alone_does_not_hold_up_its_neighbours(TransportKind kind)
    {
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await Http2Server.StartAsync(
            kind,
            async context =>
            {
                if (context.Request.Path == "/large")
                {
                    await read.Task;
                }

                await context.Response.WriteAsync(Convert.ToHexStringLower(await SHA256.HashDataAsync(context.Request.Body)));
            },
            options => options.Limits.Http2.InitialStreamWindowSize = 256 * 1024);
        byte[] body = RandomNumberGenerator.GetBytes(Size);
        Task<HttpResponseMessage> large = server.Client.PostAsync("/large", new ByteArrayContent(body));

        for (int i = 0; i < 50; i++)
        {
            await UploadAsync(server.Client, i, 100_000);
        }

        Assert.False(large.IsCompleted);
        read.SetResult();
        using HttpResponseMessage response = await large.InTime();
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(body)), await response.Content.ReadAsStringAsync().InTime());
        Assert.Equal(1, server.Connections);
    }

    private static async Task UploadAsync(HttpClient client, int seed, int size = Size)
    {
        byte[] body = new byte[size];
        new Random(seed).NextBytes(body);
        using HttpResponseMessage response = await client.PostAsync("/", new ByteArrayContent(body)).InTime();
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(body)), await response.Content.ReadAsStringAsync().InTime());
    }

    private static async Task DownloadAsync(HttpClient client)
    {
        using HttpResponseMessage response = await client.GetAsync("/", HttpCompletionOption.ResponseHeadersRead).InTime();
        using Stream stream = await response.Content.ReadAsStreamAsync().InTime();
        string hash = Convert.ToHexStringLower(await SHA256.HashDataAsync(stream).InTime());
        Assert.Equal(hash, response.TrailingHeaders.GetValues("X-Hash").Single());
    }
}
