using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Protocols without HTTP, and middleware between the transport and a protocol.</summary>
public class ConnectionHandlerTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Lines_are_answered_however_they_are_cut(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(
            kind, setup => setup.Endpoint = options => options.UseConnectionHandler<LineHandler>());
        using RawClient client = await server.ConnectAsync();
        string[] lines = [.. Enumerable.Range(0, 300).Select(static i => new string((char)('a' + (i % 26)), i * 37 % 9001))];
        byte[] bytes = Encoding.ASCII.GetBytes(string.Concat(lines.Select(static line => line + "\n")));

        Task sending = Task.Run(async () =>
        {
            for (int offset = 0, piece = 1; offset < bytes.Length; offset += piece, piece = (piece * 11 % 4801) + 1)
            {
                await client.SendAsync(bytes.AsMemory(offset, Math.Min(piece, bytes.Length - offset)));
            }

            client.ShutdownSend();
        });
        for (int i = 0; i < lines.Length; i++)
        {
            Assert.Equal($"{i}:{lines[i]}", await client.ReadLineAsync());
        }

        await sending.InTime();
        Assert.Equal("no more lines", await client.ReadLineAsync());
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Middleware_may_put_its_own_transport_around_ours(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup => setup.Endpoint = options =>
        {
            // From lower case outside to upper case inside, and back.
            options.Use(next => async connection =>
            {
                IDuplexPipe inner = connection.Transport;
                Pipe input = new();
                Pipe output = new();
                Task reading = TransformAsync(inner.Input, input.Writer, char.ToUpperInvariant);
                Task writing = TransformAsync(output.Reader, inner.Output, char.ToLowerInvariant);
                connection.Transport = new DuplexPipe(input.Reader, output.Writer);
                try
                {
                    await next(connection);
                }
                finally
                {
                    connection.Transport = inner;
                    await output.Writer.CompleteAsync();
                    await writing;
                    await input.Reader.CompleteAsync();
                    await reading;
                }
            });
            options.UseConnectionHandler<LineHandler>();
        });
        using RawClient client = await server.ConnectAsync();

        for (int i = 0; i < 100; i++)
        {
            await client.SendAsync($"line {i}\n");
            Assert.Equal($"{i}:line {i}", await client.ReadLineAsync());
        }

        client.ShutdownSend();
        Assert.Equal("no more lines", await client.ReadLineAsync());
        await client.ReadToEndAsync();
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Connection_logging_shows_the_bytes_of_both_directions(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options => options.UseConnectionLogging("wire");
            setup.App = context => context.Response.WriteAsync("shown");
        });
        using RawClient client = await server.ConnectAsync();

        for (int i = 0; i < 10; i++)
        {
            await client.SendAsync($"GET /path{i} HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal("shown", (await client.ReadResponseAsync()).Text);
        }

        string[] wire = [.. server.Logs.Entries.Where(static entry => entry.Category == "wire").Select(static entry => entry.Message)];
        Assert.Contains(wire, static message => message.StartsWith("ReadAsync", StringComparison.Ordinal) && message.Contains("47 45 54 20 2F 70 61 74", StringComparison.Ordinal));
        Assert.Contains(wire, static message => message.StartsWith("WriteAsync", StringComparison.Ordinal) && message.Contains("48 54 54 50 2F 31 2E 31", StringComparison.Ordinal));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Items_and_features_of_a_connection_reach_every_request_on_it(TransportKind kind)
    {
        int connections = 0;
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options => options.Use(next => connection =>
            {
                connection.Items["number"] = Interlocked.Increment(ref connections);
                connection.Features.Set(new Greeting($"hello from {connection.ConnectionId}"));
                return next(connection);
            });
            setup.App = context =>
            {
                object? number = context.Features.GetRequiredFeature<IConnectionItemsFeature>().Items["number"];
                bool same = context.Features.GetRequiredFeature<Greeting>().Text == $"hello from {context.Connection.Id}";
                return context.Response.WriteAsync($"{number} {same}");
            };
        });

        for (int i = 1; i <= 3; i++)
        {
            using RawClient client = await server.ConnectAsync();
            for (int request = 0; request < 3; request++)
            {
                await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                Assert.Equal($"{i} True", (await client.ReadResponseAsync()).Text);
            }
        }
    }

    private static async Task TransformAsync(PipeReader from, PipeWriter to, Func<char, char> transform)
    {
        while (true)
        {
            ReadResult result = await from.ReadAsync();
            byte[] bytes = result.Buffer.ToArray();
            from.AdvanceTo(result.Buffer.End);
            await to.WriteAsync(Array.ConvertAll(bytes, b => (byte)transform((char)b)));
            if (result.IsCompleted)
            {
                await to.CompleteAsync();
                return;
            }
        }
    }

    private sealed record Greeting(string Text);

    private sealed class DuplexPipe(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }

    /// <summary>Answers each line with its number and itself.</summary>
    private sealed class LineHandler : ConnectionHandler
    {
        public override async Task OnConnectedAsync(ConnectionContext connection)
        {
            int number = 0;
            while (true)
            {
                ReadResult result = await connection.Transport.Input.ReadAsync();
                ReadOnlySequence<byte> rest = result.Buffer;
                while (rest.PositionOf((byte)'\n') is { } end)
                {
                    await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes($"{number++}:{Encoding.ASCII.GetString(rest.Slice(0, end))}\n"));
                    rest = rest.Slice(rest.GetPosition(1, end));
                }

                connection.Transport.Input.AdvanceTo(rest.Start, rest.End);
                if (result.IsCompleted)
                {
                    await connection.Transport.Output.WriteAsync("no more lines\n"u8.ToArray());
                    return;
                }
            }
        }
    }
}
