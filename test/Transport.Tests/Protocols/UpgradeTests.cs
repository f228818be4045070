using System.Security.Cryptography;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>A protocol of our own, <c>Upgrade: echo</c>, on a connection that began as HTTP/1.1.</summary>
public class UpgradeTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Bytes_go_both_ways_until_the_client_has_finished(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, context => UpgradeAsync(context, EchoAsync));
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Request);
        await ReadSwitchingAsync(client);

        byte[] small = "ping"u8.ToArray();
        await client.SendAsync(small);
        Assert.Equal(small, await client.ReadExactlyAsync(small.Length));

        byte[] large = RandomNumberGenerator.GetBytes(3_000_001);
        Task<byte[]> receiving = Task.Run(() => client.ReadExactlyAsync(large.Length));
        await client.SendAsync(large);
        byte[] echoed = await receiving.InTime();
        Assert.True(large.AsSpan().SequenceEqual(echoed));

        client.ShutdownSend();
        (byte[] rest, PeerEnd end) = await client.ReadToEndAsync();
        Assert.Empty(rest);
        Assert.Equal(PeerEnd.Fin, end);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Bytes_that_come_along_with_the_request_belong_to_the_new_protocol(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, context => UpgradeAsync(context, EchoAsync));
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(Request + "early");
        await ReadSwitchingAsync(client);

        Assert.Equal("early", Encoding.ASCII.GetString(await client.ReadExactlyAsync(5)));
        await client.SendAsync("late");
        Assert.Equal("late", Encoding.ASCII.GetString(await client.ReadExactlyAsync(4)));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_server_may_end_it(TransportKind kind)
    {
        byte[] content = RandomNumberGenerator.GetBytes(1_000_000);
        await using TestServer server = await TestServer.StartAsync(kind, context => UpgradeAsync(context, async stream =>
        {
            await stream.ReadExactlyAsync(new byte[1]);
            await stream.WriteAsync(content);
        }));
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Request + "?");
        await ReadSwitchingAsync(client);

        (byte[] bytes, PeerEnd end) = await client.ReadToEndAsync();

        Assert.True(content.AsSpan().SequenceEqual(bytes));
        Assert.Equal(PeerEnd.Fin, end);
        client.Dispose();
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_reset_by_the_client_ends_a_read_and_fires_RequestAborted(TransportKind kind)
    {
        var outcome = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, context =>
        {
            context.RequestAborted.Register(() => aborted.TrySetResult());
            return UpgradeAsync(context, async stream =>
            {
                outcome.TrySetResult(await Record.ExceptionAsync(async () => await stream.ReadExactlyAsync(new byte[1])));

                // Nothing is aborted once the handler has returned.
                await aborted.Task;
            });
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(Request);
        await ReadSwitchingAsync(client);

        client.Reset();

        Assert.IsAssignableFrom<IOException>(await outcome.Task.InTime());
        await aborted.Task.InTime();
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Aborting_an_upgraded_connection_resets_it(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, context => UpgradeAsync(context, stream =>
        {
            context.Abort();
            return Task.CompletedTask;
        }));
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(Request);

        Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
    }

    private static async Task UpgradeAsync(HttpContext context, Func<Stream, Task> protocol)
    {
        IHttpUpgradeFeature upgrade = context.Features.GetRequiredFeature<IHttpUpgradeFeature>();
        Assert.True(upgrade.IsUpgradableRequest);
        context.Response.Headers.Upgrade = "echo";
        using Stream stream = await upgrade.UpgradeAsync();
        await protocol(stream);
    }

    private static async Task EchoAsync(Stream stream)
    {
        byte[] buffer = new byte[8191];
        int count;
        while ((count = await stream.ReadAsync(buffer)) != 0)
        {
            await stream.WriteAsync(buffer.AsMemory(0, count));
        }
    }

    private static async Task ReadSwitchingAsync(RawClient client)
    {
        RawResponse response = await client.ReadResponseAsync();
        Assert.Equal(101, response.Status);
        Assert.Equal("echo", response.Headers["Upgrade"]);
        Assert.Equal("Upgrade", response.Headers["Connection"]);
    }
}
