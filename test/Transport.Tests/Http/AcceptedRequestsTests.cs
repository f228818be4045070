using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Http;

/// <summary>The server stops while connections are new: what it has accepted, with a request that has come, is answered.</summary>
public class AcceptedRequestsTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// <summary>As on a server that has just started, where the first use of everything takes its time.</summary>
    [Fact]
    public async Task A_connection_that_Kestrel_begins_with_after_the_stop_has_begun_is_answered()
    {
        int accepted = 0;
        var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void AddSlowStart(ListenOptions listen) => listen.Use(next => async connection =>
        {
            Interlocked.Increment(ref accepted);
            await begin.Task;
            await next(connection);
        });
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup => setup.Endpoint = AddSlowStart);
        server.Factory!.Context!.Services.Connections.FirstReadTimeout = Patience.Limit;
        List<RawClient> clients = [];
        for (int i = 0; i < 10; i++)
        {
            clients.Add(await server.ConnectAsync());
            await clients[i].SendAsync(Request);
        }

        await Patience.UntilAsync(() => Volatile.Read(ref accepted) == clients.Count, "the connections are accepted");
        Task stopping = server.StopAsync();
        await RefusedAsync(server);
        Assert.False(stopping.IsCompleted);
        begin.SetResult();

        foreach (RawClient client in clients)
        {
            Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
            Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
            client.Dispose();
        }

        await stopping.InTime();
    }

    [Fact]
    public async Task A_handler_that_does_not_read_keeps_the_stop_waiting_for_a_moment_only()
    {
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void AddDeafHandler(ListenOptions listen) => listen.Run(async connection =>
        {
            entered.TrySetResult();
            await Task.Delay(Timeout.Infinite, connection.ConnectionClosed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        });
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup => setup.Endpoint = AddDeafHandler);
        using RawClient client = await server.ConnectAsync();
        await entered.Task.InTime();

        Task stopping = server.StopAsync();
        await RefusedAsync(server);
        client.ShutdownSend();
        await stopping.InTime();
    }

    /// <summary>The kernel gives connections away only together with their first bytes, so that each that is accepted has a
    /// request.</summary>
    [Fact]
    public async Task Under_load_every_accepted_request_is_answered()
    {
        for (int round = 0; round < 10; round++)
        {
            TestServer server = await TestServer.StartAsync(
                TransportKind.Netpoll, static setup => setup.Netpoll = static options => options.DeferAccept = TimeSpan.FromSeconds(30));
            int answered = 0;
            int failed = 0;
            Task[] clients = [.. Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
            {
                try
                {
                    while (true)
                    {
                        using RawClient client = await server.ConnectAsync();
                        await client.SendAsync(Request);
                        byte[] first = new byte[1];
                        if (await client.ReceiveAsync(first) == 0)
                        {
                            Interlocked.Increment(ref failed);
                            return;
                        }

                        // The rest of an answer that has begun comes, too.
                        Assert.Equal(200, (await client.ReadResponseAsync()).Status);
                        Interlocked.Increment(ref answered);
                    }
                }
                catch (SocketException)
                {
                    // Refused, or reset by the kernel, which had not given the connection to the server.
                }
            }))];
            await Patience.UntilAsync(() => Volatile.Read(ref answered) > 20 * round, "some requests have been answered");

            await server.StopAsync();
            await Task.WhenAll(clients).InTime();

            Assert.Equal((server.Factory!.GetStatistics().AcceptedConnections, 0), ((long)answered, failed));
            await server.DisposeAsync();
        }
    }

    // Until nobody listens any more: the stop has begun.
    private static Task RefusedAsync(TestServer server) => Patience.UntilAsync(
        () =>
        {
            try
            {
                using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                probe.Connect(server.EndPoint);
                return false;
            }
            catch (SocketException)
            {
                return true;
            }
        },
        "the server accepts nothing any more");
}
