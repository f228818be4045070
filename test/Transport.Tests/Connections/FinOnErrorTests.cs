using System.Net.Sockets;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Connections;

// The switch is a property of the process.
[Collection(nameof(Alone))]
public sealed class FinOnErrorTests : IDisposable
{
    private const string Switch = "Microsoft.AspNetCore.Server.Kestrel.FinOnError";

    public FinOnErrorTests() => AppContext.SetSwitch(Switch, true);

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(300_000)]
    public async Task The_switch_turns_the_RST_of_an_abort_into_FIN(int unread)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Task sending = client.SendAsync(new byte[unread]);
        if (unread != 0)
        {
            // The rest stays where it is.
            await connection.Transport.Input.ReadAsync().InTime();
        }

        connection.Abort(new ConnectionAbortedException("because"));

        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await sending.InTime();
        AssertFin(harness.Logs);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task Also_when_the_client_sends_nothing_before_that()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        connection.Abort(new ConnectionAbortedException("because"));
        await client.SendAsync(new byte[3_000_000]);
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task The_end_of_the_application_with_an_error_is_a_FIN()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync(new byte[100]);
        await connection.Transport.Output.CompleteAsync(new InvalidDataException("because"));
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        AssertFin(harness.Logs);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task So_is_the_abort_of_a_request_whose_body_is_still_coming()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n");
        await client.SendAsync(new byte[300_000]);
        (byte[] bytes, PeerEnd end) = await client.ReadToEndAsync();
        Assert.Equal((0, PeerEnd.Fin), (bytes.Length, end));
        AssertFin(server.Logs);
    }

    /// <summary>A client that does not read, and one that does not stop writing either: at once, as they do little but wait.</summary>
    [Slow]
    [Fact]
    public Task So_is_the_abort_of_a_response_that_is_taken_too_slowly() =>
        Task.WhenAll(TakeTooSlowlyAsync(bothWays: false), TakeTooSlowlyAsync(bothWays: true));

    private static async Task TakeTooSlowlyAsync(bool bothWays)
    {
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Kestrel = static options =>
            {
                // Kestrel allows more time for what the kernel has taken already: at this rate hardly any.
                options.Limits.MinResponseDataRate = new MinDataRate(100 * 1024 * 1024, TimeSpan.FromSeconds(1.5));
                options.Limits.MinRequestBodyDataRate = null;
                options.Limits.MaxRequestBodySize = null;
            };
            setup.App = async context =>
            {
                context.RequestAborted.Register(aborted.SetResult);
                try
                {
                    if (bothWays)
                    {
                        await context.Request.Body.CopyToAsync(context.Response.Body);
                    }
                    else
                    {
                        byte[] block = new byte[64 * 1024];
                        while (true)
                        {
                            await context.Response.Body.WriteAsync(block, context.RequestAborted);
                        }
                    }
                }
                catch (OperationCanceledException)
                {
                }
            };
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {(bothWays ? 30_000_000 : 0)}\r\n\r\n");
        Task sending = bothWays ? client.SendAsync(new byte[30_000_000]) : Task.CompletedTask;

        await aborted.Task.InTime();
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await Task.WhenAny(sending).InTime();
        AssertFin(server.Logs);
    }

    public void Dispose() => AppContext.SetSwitch(Switch, false);

    private static void AssertFin(LogCollector logs)
    {
        Assert.Single(logs.Of(TransportKind.Netpoll, 7));
        Assert.Empty(logs.Of(TransportKind.Netpoll, 8));
    }
}
