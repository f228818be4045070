using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Scale;

// Needs most of the process's descriptors, and counts them.
[Collection(nameof(Alone))]
[OneMode]
public class ThousandsOfConnectionsTests
{
    private const int Connections = 5_000;
    private const int RequestsPerConnection = 20;
    private const int Drivers = 2;
    private const int ReserveOfDescriptors = 500;

    [Slow]
    [Fact]
    public async Task Five_thousand_connections_at_once_are_served_and_leave_nothing_behind()
    {
        int limit = DescriptorHeadroom.ReadLimit(SystemCalls.Instance);
        int needed = (2 * Connections) + ProcessState.OpenDescriptors() + ReserveOfDescriptors;
        Assert.SkipUnless(limit >= needed, $"RLIMIT_NOFILE is {limit}; both ends of {Connections} connections need {needed}.");

        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static setup =>
        {
            // A line at the beginning and at the end of each request is the host's business.
            setup.LogFilter = static (category, level) =>
                level >= (category.StartsWith("Microsoft.AspNetCore.Hosting", StringComparison.Ordinal) ? LogLevel.Warning : LogLevel.Information);
            setup.App = static context =>
            {
                byte[] body = Encoding.ASCII.GetBytes(context.Request.Path.Value!);
                context.Response.ContentLength = body.Length;
                return context.Response.Body.WriteAsync(body, 0, body.Length);
            };
        });
        using (var first = new BlockingClients(server.EndPoint, start: 0, count: 1))
        {
            first.Connect();
            first.RequestAll(0);
        }

        await EverybodyHasLeftAsync(server);
        int before = await ProcessState.SettledDescriptorsAsync();
        int linesBefore = server.Logs.Entries.Count;

        BlockingClients[] drivers =
            [.. Enumerable.Range(0, Drivers).Select(i => new BlockingClients(server.EndPoint, i * Connections / Drivers, Connections / Drivers))];
        try
        {
            await OnEachAsync(drivers, static clients => clients.Connect());
            await Patience.UntilAsync(() => server.Factory!.GetStatistics().ActiveConnections == Connections, "all connections are accepted");
            await OnEachAsync(drivers, static clients =>
            {
                for (int request = 0; request < RequestsPerConnection; request++)
                {
                    clients.RequestAll(request);
                }
            });
            Assert.Equal(Connections, server.Factory!.GetStatistics().ActiveConnections);
        }
        finally
        {
            await OnEachAsync(drivers, static clients => clients.Dispose());
        }

        await EverybodyHasLeftAsync(server);
        await Patience.UntilAsync(() => ProcessState.OpenDescriptors() <= before, "the descriptors are closed");
        Assert.Equal(Connections + 1, server.Factory!.GetStatistics().AcceptedConnections);
        Assert.Equal(0, server.Factory!.GetStatistics().FailedTurns);

        // That a turn takes long may say something of the machine only.
        Assert.DoesNotContain(server.Logs.Entries.Skip(linesBefore), static entry => entry.Id.Name != "BlockedTurn");
    }

    private static async Task EverybodyHasLeftAsync(TestServer server)
    {
        await Patience.UntilAsync(() => server.Factory!.GetStatistics().ActiveConnections == 0, "the connections are gone");
        await server.Pools.AllReturnedAsync();
    }

    private static Task OnEachAsync(BlockingClients[] drivers, Action<BlockingClients> action) =>
        Task.WhenAll(drivers.Select(clients => Task.Factory.StartNew(
            () => action(clients), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))).InTime();

    /// <summary>Many clients on one thread: all of them ask before the first one listens to its answer.</summary>
    private sealed class BlockingClients(IPEndPoint server, int start, int count) : IDisposable
    {
        private readonly Socket[] _sockets = new Socket[count];
        private readonly byte[] _buffer = new byte[4096];

        internal void Connect()
        {
            for (int i = 0; i < _sockets.Length; i++)
            {
                _sockets[i] = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
                {
                    NoDelay = true,
                    ReceiveTimeout = (int)Patience.Limit.TotalMilliseconds,
                };
                _sockets[i].Connect(server);
            }
        }

        internal void RequestAll(int request)
        {
            for (int i = 0; i < _sockets.Length; i++)
            {
                byte[] bytes = Encoding.ASCII.GetBytes($"GET {PathOf(i, request)} HTTP/1.1\r\nHost: x\r\n\r\n");
                Assert.Equal(bytes.Length, _sockets[i].Send(bytes));
            }

            for (int i = 0; i < _sockets.Length; i++)
            {
                // The answer that belongs to this very request, and nothing behind it.
                byte[] end = Encoding.ASCII.GetBytes("\r\n\r\n" + PathOf(i, request));
                int length = 0;
                while (!_buffer.AsSpan(0, length).EndsWith(end))
                {
                    int received = _sockets[i].Receive(_buffer.AsSpan(length));
                    Assert.True(received != 0, $"The connection ended after '{Encoding.ASCII.GetString(_buffer, 0, length)}'.");
                    length += received;
                }

                Assert.True(_buffer.AsSpan(0, length).StartsWith("HTTP/1.1 200 OK\r\n"u8));
                Assert.Equal(1, _buffer.AsSpan(0, length).Count("HTTP/1.1"u8));
            }
        }

        /// <summary>Every other one with RST.</summary>
        public void Dispose()
        {
            for (int i = 0; i < _sockets.Length; i++)
            {
                if (_sockets[i] is { } socket)
                {
                    if (i % 2 == 1)
                    {
                        socket.LingerState = new LingerOption(true, 0);
                    }

                    socket.Dispose();
                }
            }
        }

        private string PathOf(int client, int request) => $"/{start + client}/{request}";
    }
}
