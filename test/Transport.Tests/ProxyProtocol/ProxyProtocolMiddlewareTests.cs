using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using KestrelNetpoll.Transport.ProxyProtocol;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>The middleware over the framework's own pipes, which refuse what is against their rules.</summary>
[OneMode]
public class ProxyProtocolMiddlewareTests
{
    private static readonly IPEndPoint Proxy = new(IPAddress.Loopback, 1000);
    private static readonly IPEndPoint Here = new(IPAddress.Loopback, 2000);
    private static readonly byte[] Payload = [.. Enumerable.Range(0, 300).Select(static i => (byte)i)];

    public static TheoryData<byte[], string> Headers => new()
    {
        { HeaderBytes.Text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443"), "192.0.2.1:56324 198.51.100.2:443" },
        { HeaderBytes.Text("PROXY UNKNOWN"), "127.0.0.1:1000 127.0.0.1:2000" },
        { HeaderBytes.Binary("192.0.2.1:56324", "198.51.100.2:443"), "192.0.2.1:56324 198.51.100.2:443" },
        {
            HeaderBytes.WithChecksum(HeaderBytes.Binary("[2001:db8::1]:5", "[::1]:6", HeaderBytes.Tlv(4, new byte[50]))),
            "[2001:db8::1]:5 [::1]:6"
        },
        { HeaderBytes.Binary(HeaderBytes.Local, 0x00, new byte[20]), "127.0.0.1:1000 127.0.0.1:2000" },
        { [], "127.0.0.1:1000 127.0.0.1:2000" },
        { "PR"u8.ToArray(), "127.0.0.1:1000 127.0.0.1:2000" },
        { "\r\n\r\n\0\r\nQUIT"u8.ToArray(), "127.0.0.1:1000 127.0.0.1:2000" },
    };

    [Theory]
    [MemberData(nameof(Headers))]
    public async Task What_follows_arrives_whole_wherever_it_was_cut(byte[] header, string endPoints)
    {
        byte[] all = [.. header, .. Payload];
        for (int cut = 0; cut <= Math.Min(all.Length, header.Length + 5); cut++)
        {
            await using var connection = new Connection(required: false);
            Task serving = connection.Serve();
            await connection.Input.WriteAsync(all.AsMemory(0, cut));
            await connection.Input.WriteAsync(all.AsMemory(cut));
            await connection.Input.CompleteAsync();
            await serving.InTime();

            // What is no header belongs to what follows.
            bool isHeader = header.Length > 12;
            Assert.Equal(isHeader ? Payload : all, connection.Received);
            Assert.Equal(endPoints, connection.SeenEndPoints);
            Assert.Equal(isHeader, connection.Seen is not null);
        }
    }

    [Theory]
    [MemberData(nameof(Headers))]
    public async Task Single_bytes_are_put_together(byte[] header, string endPoints)
    {
        await using var connection = new Connection(required: false);
        Task serving = connection.Serve();
        byte[] all = [.. header, .. Payload];
        for (int i = 0; i < all.Length; i++)
        {
            await connection.Input.WriteAsync(all.AsMemory(i, 1));
        }

        await connection.Input.CompleteAsync();
        await serving.InTime();

        Assert.Equal(header.Length > 12 ? Payload : all, connection.Received);
        Assert.Equal(endPoints, connection.SeenEndPoints);
    }

    [Theory]
    [MemberData(nameof(Headers))]
    public async Task A_connection_may_end_with_its_header(byte[] header, string endPoints)
    {
        await using var connection = new Connection(required: true);
        await connection.Input.WriteAsync(header);
        await connection.Input.CompleteAsync();
        await connection.Serve().InTime();

        bool isHeader = header.Length > 12;
        Assert.Equal(isHeader ? endPoints : null, connection.SeenEndPoints);
        Assert.Equal(isHeader ? 0 : 1, connection.Logs.Entries.Count);
        Assert.Empty(connection.Received);
    }

    [Fact]
    public async Task The_endpoints_of_the_socket_are_in_the_feature_and_come_back_when_the_connection_has_ended()
    {
        await using var connection = new Connection(required: true);
        await connection.Input.WriteAsync(HeaderBytes.Binary("192.0.2.1:56324", "198.51.100.2:443", HeaderBytes.Tlv(1, 2)));
        await connection.Input.CompleteAsync();
        await connection.Serve().InTime();

        Assert.Equal("192.0.2.1:56324 198.51.100.2:443", connection.SeenEndPoints);
        Assert.Same(Proxy, connection.Context.RemoteEndPoint);
        Assert.Same(Here, connection.Context.LocalEndPoint);
        IProxyProtocolFeature seen = connection.Seen!;
        Assert.Same(Proxy, seen.SocketRemoteEndPoint);
        Assert.Same(Here, seen.SocketLocalEndPoint);
        Assert.Equal((2, ProxyProtocolCommand.Proxy), (seen.Version, seen.Command));
        Assert.False(seen.Tlvs.IsEmpty);
    }

    [Fact]
    public async Task They_come_back_also_if_it_fails()
    {
        await using var connection = new Connection(required: true);
        await connection.Input.WriteAsync(HeaderBytes.Binary("192.0.2.1:56324", "198.51.100.2:443"));
        ConnectionDelegate serve = connection.Middleware(static _ => throw new InvalidOperationException("The application fails."));

        await Assert.ThrowsAsync<InvalidOperationException>(() => serve(connection.Context).InTime());

        Assert.Same(Proxy, connection.Context.RemoteEndPoint);
        Assert.Same(Here, connection.Context.LocalEndPoint);
    }

    [Fact]
    public async Task A_second_call_for_an_endpoint_leaves_everything_to_the_first()
    {
        await using var connection = new Connection(required: true);
        await connection.Input.WriteAsync(HeaderBytes.Binary("192.0.2.1:56324", "198.51.100.2:443"));
        await connection.Input.WriteAsync(Payload);
        await connection.Input.CompleteAsync();

        await connection.Middleware(connection.Middleware(connection.ReceiveAsync))(connection.Context).InTime();

        Assert.Equal(Payload, connection.Received);
        Assert.Equal("192.0.2.1:56324 198.51.100.2:443", connection.SeenEndPoints);
    }

    [Fact]
    public async Task A_connection_that_is_refused_is_aborted_and_nobody_else_sees_it()
    {
        await using var connection = new Connection(required: true);
        await connection.Input.WriteAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray());

        await connection.Serve().InTime();

        Assert.Null(connection.SeenEndPoints);
        await Patience.UntilAsync(() => connection.Context.ConnectionClosed.IsCancellationRequested, "the connection is aborted");
        LogEntry entry = Assert.Single(connection.Logs.Entries);
        Assert.Equal((LogLevel.Debug, 200), (entry.Level, entry.Id.Id));
        Assert.Equal("Connection id \"id\" from 127.0.0.1:1000 is closed: it sent no PROXY header.", entry.Message);
    }

    [Fact]
    public async Task Timers_are_used_again_and_nothing_is_allocated_but_what_the_header_says()
    {
        const int Connections = 2_000;
        var settings = new ProxyProtocolSettings(new ProxyProtocolOptions(), NullLogger.Instance);
        var middleware = new ProxyProtocolMiddleware(static _ => Task.CompletedTask, settings);
        byte[] header = HeaderBytes.Binary("192.0.2.1:56324", "198.51.100.2:443");

        // A context for each connection, which is not what is counted.
        await Serve(Connections);
        long perConnection = await Serve(Connections);

        // A feature with two endpoints and their addresses. A timer would be as much again.
        TestContext.Current.TestOutputHelper?.WriteLine($"{perConnection} bytes");
        Assert.InRange(perConnection, 1, 350);

        async Task<long> Serve(int count)
        {
            var connections = new Connection[count];
            for (int i = 0; i < count; i++)
            {
                connections[i] = new Connection(required: true);
                await connections[i].Input.WriteAsync(header);
            }

            // All of it goes on on this thread, without a wait.
            long before = GC.GetAllocatedBytesForCurrentThread();
            foreach (Connection connection in connections)
            {
                Task serving = middleware.OnConnectionAsync(connection.Context);
                Assert.True(serving.IsCompletedSuccessfully);
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            foreach (Connection connection in connections)
            {
                await connection.DisposeAsync();
            }

            return allocated / count;
        }
    }

    private sealed class Connection : IAsyncDisposable
    {
        private readonly Pipe _input = new(new PipeOptions(useSynchronizationContext: false));
        private readonly ProxyProtocolSettings _settings;
        private readonly MemoryStream _received = new();

        internal Connection(bool required)
        {
            _settings = new ProxyProtocolSettings(
                new ProxyProtocolOptions { Required = required, Timeout = Patience.Limit }, Logs.CreateLogger(ProxyProtocolLog.Category));
            Context = new DefaultConnectionContext("id", new DuplexPipe(_input.Reader, new Pipe().Writer), null!)
            {
                RemoteEndPoint = Proxy,
                LocalEndPoint = Here,
            };
        }

        internal LogCollector Logs { get; } = new();

        internal DefaultConnectionContext Context { get; }

        internal PipeWriter Input => _input.Writer;

        internal string? SeenEndPoints { get; private set; }

        internal IProxyProtocolFeature? Seen { get; private set; }

        internal byte[] Received => _received.ToArray();

        internal Task Serve() => Middleware(ReceiveAsync)(Context);

        internal ConnectionDelegate Middleware(ConnectionDelegate next) => new ProxyProtocolMiddleware(next, _settings).OnConnectionAsync;

        internal async Task ReceiveAsync(ConnectionContext connection)
        {
            SeenEndPoints = $"{connection.RemoteEndPoint} {connection.LocalEndPoint}";
            Seen = connection.Features.Get<IProxyProtocolFeature>();
            PipeReader input = connection.Transport.Input;
            while (true)
            {
                ReadResult read = await input.ReadAsync();
                foreach (ReadOnlyMemory<byte> segment in read.Buffer)
                {
                    _received.Write(segment.Span);
                }

                input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                {
                    break;
                }
            }
        }

        // Not the context: an abort goes on on the thread pool and needs it.
        public ValueTask DisposeAsync()
        {
            Logs.Dispose();
            return _input.Reader.CompleteAsync();
        }
    }

    private sealed class DuplexPipe(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }
}
