using System.Globalization;
using System.IO.Pipelines;
using System.Net.WebSockets;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using KestrelNetpoll.Transport.WorkersOnly;
using KestrelNetpoll.Transport.Writing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using static KestrelNetpoll.Transport.Tests.WorkersOnly.WorkersOnlyServer;

namespace KestrelNetpoll.Transport.Tests.WorkersOnly;

/// <summary>What <see cref="ApplicationScheduling.WorkersOnly"/> does not cost: turns that are nothing but hops, and allocations.</summary>
[OneMode]
public class WorkersOnlyCostTests
{
    private const int Rounds = 200;

    // Besides the turn that reads, there are a few that do not belong to a round: the connection's start, a turn that found nothing.
    private const int OtherTurns = Rounds / 5;

    [Fact]
    public async Task A_request_is_one_turn()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(static context => context.Response.WriteAsync("x"), workers: 1);
        using RawClient client = await server.ConnectAsync();
        await AssertTurnsAsync(server, () => GetAsync(client));
    }

    [Fact]
    public async Task A_request_that_waits_for_something_else_is_two_turns()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            static async context =>
            {
                await Task.Delay(1);
                await context.Response.WriteAsync("x");
            },
            workers: 1);
        using RawClient client = await server.ConnectAsync();
        await AssertTurnsAsync(server, () => GetAsync(client), turnsEach: 2);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_read_of_a_request_body_takes_no_hop(bool pipe)
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                context.Response.ContentLength = Rounds + 1;
                await context.Response.Body.FlushAsync();
                byte[] one = new byte[1];
                while (true)
                {
                    if (pipe)
                    {
                        ReadResult result = await context.Request.BodyReader.ReadAsync();
                        if (result.IsCompleted && result.Buffer.IsEmpty)
                        {
                            break;
                        }

                        context.Request.BodyReader.AdvanceTo(result.Buffer.End);
                    }
                    else if (await context.Request.Body.ReadAsync(one) == 0)
                    {
                        break;
                    }

                    Assert.Equal(OnWorker, Where());
                    await context.Response.Body.WriteAsync(one);
                    await context.Response.Body.FlushAsync();
                }
            },
            workers: 1,
            configure: static setup => setup.Kestrel = static kestrel => kestrel.Limits.MinRequestBodyDataRate = null);
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(string.Create(
            CultureInfo.InvariantCulture, $"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {Rounds + 1}\r\n\r\n"));
        while ((await client.ReadLineAsync()).Length != 0)
        {
        }

        await AssertTurnsAsync(server, async () =>
        {
            await client.SendAsync("x");
            await client.ReadExactlyAsync(1);
        });
    }

    [Fact]
    public async Task A_message_of_a_web_socket_takes_no_hop()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            static async context =>
            {
                using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
                byte[] buffer = new byte[100];
                for (int i = 0; i <= Rounds; i++)
                {
                    ValueWebSocketReceiveResult received = await socket.ReceiveAsync(buffer.AsMemory(), default);
                    await socket.SendAsync(buffer.AsMemory(0, received.Count), WebSocketMessageType.Binary, endOfMessage: true, default);
                }

                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
            },
            workers: 1,
            configure: static setup => setup.Pipeline = static app => app.UseWebSockets());
        using ClientWebSocket client = await WebSocketServer.ConnectAsync(server);
        byte[] buffer = new byte[100];
        await AssertTurnsAsync(server, async () =>
        {
            await client.SendAsync(new byte[10], WebSocketMessageType.Binary, endOfMessage: true, default).InTime();
            await client.ReceiveAsync(buffer, default).InTime();
        });
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default).InTime();
    }

    [Fact]
    public async Task A_flush_that_waited_goes_on_inside_the_turn_that_ends_the_waiting()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { WorkerCount = 2, ApplicationScheduling = ApplicationScheduling.WorkersOnly });
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using (client)
        {
            int waited = 0;
            async Task WriteAsync()
            {
                await ContextOf(connection).SwitchToWorker();
                byte[] block = new byte[100_000];
                while (waited < 10)
                {
                    ValueTask<FlushResult> flush = connection.Transport.Output.WriteAsync(block);
                    if (flush.IsCompleted)
                    {
                        await flush;
                        continue;
                    }

                    // Not an await, which goes on by itself if the waiting is over by then.
                    var over = new TaskCompletionSource<(string Where, string Stack)>(TaskCreationOptions.RunContinuationsAsynchronously);
                    flush.GetAwaiter().OnCompleted(() => over.SetResult((Where(), Environment.StackTrace)));
                    (string where, string stack) = await over.Task;
                    await flush;
                    waited++;
                    Assert.Equal(OnWorker, where);

                    // Which of its methods are in the stack depends on what the compiler has inlined; a turn that was posted has none of them.
                    Assert.Contains($"{typeof(SocketPipeWriter).FullName}.", stack, StringComparison.Ordinal);
                }
            }

            Task writing = WriteAsync();
            byte[] buffer = new byte[100_000];
            while (!writing.IsCompleted)
            {
                if (client.Socket.Poll(1_000, System.Net.Sockets.SelectMode.SelectRead))
                {
                    await client.ReceiveAsync(buffer);
                }
            }

            await writing.InTime();
            connection.Abort();
            await connection.DisposeAsync();
        }
    }

    [Fact]
    public async Task The_border_allocates_nothing_for_a_request_that_does_not_wait()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { WorkerCount = 1, ApplicationScheduling = ApplicationScheduling.WorkersOnly });
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using (client)
        {
            // A request takes what it does not have from its connection.
            var context = new DefaultHttpContext(new FeatureCollection(connection.Features));
            int calls = 0;
            var middleware = new WorkersOnlyMiddleware(_ =>
            {
                calls += Where() == OnWorker ? 1 : 0;
                return Task.CompletedTask;
            });

            // The first call comes from elsewhere, and moves.
            await middleware.InvokeAsync(context).InTime();
            Assert.Equal(1, calls);

            var counting = new WorkersOnlyMiddleware(static _ => Task.CompletedTask);
            long allocated = await OnWorkerAsync(connection, () =>
            {
                for (int i = 0; i < 1_000; i++)
                {
                    Assert.True(counting.InvokeAsync(context).IsCompletedSuccessfully);
                }

                long before = GC.GetAllocatedBytesForCurrentThread();
                for (int i = 0; i < 1_000; i++)
                {
                    _ = counting.InvokeAsync(context);
                }

                return GC.GetAllocatedBytesForCurrentThread() - before;
            });
            Assert.Equal(0, allocated);
            await connection.DisposeAsync();
        }
    }

    private static GroupContext ContextOf(NetpollConnection connection) =>
        Assert.IsType<GroupContext>(connection.Features[typeof(GroupContext)]);

    private static async Task<T> OnWorkerAsync<T>(NetpollConnection connection, Func<T> function)
    {
        await ContextOf(connection).SwitchToWorker();
        return await Task.FromResult(function()).ConfigureAwait(false);
    }

    // Fewer are fine: a read may find the next request at once, and a delay may be over before it is awaited.
    private static async Task AssertTurnsAsync(TestServer server, Func<Task> round, int turnsEach = 1)
    {
        await round();
        long before = server.Factory!.GetStatistics().Turns;
        for (int i = 0; i < Rounds; i++)
        {
            await round();
        }

        long turns = server.Factory!.GetStatistics().Turns - before;
        Assert.InRange(turns, 1, (Rounds * turnsEach) + OtherTurns);
    }
}
