using System.Diagnostics.Metrics;
using System.Text;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.ProxyProtocol;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>What happens around the header: the server's stop, its metrics and logging, and no server at all.</summary>
public class ProxyProtocolLifetimeTests
{
    private static readonly byte[] Header = HeaderBytes.WithChecksum(HeaderBytes.Binary("192.0.2.1:56324", "198.51.100.2:443"));

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_logger_that_throws_keeps_nobody_connected(TransportKind kind)
    {
        await using TestServer server = await ProxyServer.StartAsync(kind, more: static setup =>
            setup.Services = static services => services.AddSingleton<ILoggerProvider, ThrowingLoggerProvider>());
        using RawClient client = await server.ConnectAsync();

        await ProxyProtocolRefusalTests.SendToTheEndAsync(client, Latin1(ProxyServer.Request));

        await server.AssertRefusedAsync(client.Socket.LocalEndPoint, "it sent no PROXY header");
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_stop_does_not_wait_for_headers(TransportKind kind)
    {
        // If it did, it would take as long as the time limit, which is longer than the test's.
        await using TestServer server = await ProxyProtocolRefusalTests.StartAsync(
            kind, static options => options.Timeout = 10 * Patience.Limit);
        using RawClient silent = await server.ConnectAsync();
        using RawClient slow = await server.ConnectAsync();
        await slow.SendAsync(Header.AsMemory(0, 20));
        await Patience.UntilAsync(() => server.Pools.TotalRents > 0, "the server has read");

        await server.StopAsync();

        Assert.Empty((await silent.ReadToEndAsync()).Bytes);
        Assert.Empty((await slow.ReadToEndAsync()).Bytes);
        Assert.All(server.Refusals(), static entry => Assert.EndsWith(
            "is closed: the server stops, and its PROXY header is not complete.", entry.Message, StringComparison.Ordinal));
        Assert.Equal(2, server.Refusals().Count());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Kestrel_counts_a_connection_in_and_out_under_the_same_address(TransportKind kind)
    {
        Dictionary<string, long> active = [];
        await using (TestServer server = await ProxyServer.StartAsync(kind))
        {
            IMeterFactory meters = server.Services.GetRequiredService<IMeterFactory>();
            using var listener = new MeterListener
            {
                InstrumentPublished = (instrument, listener) =>
                {
                    if (instrument.Name == "kestrel.active_connections" && instrument.Meter.Scope == meters)
                    {
                        listener.EnableMeasurementEvents(instrument);
                    }
                },
            };
            listener.SetMeasurementEventCallback<long>((_, change, tags, _) =>
            {
                lock (active)
                {
                    string key = string.Join(' ', tags.ToArray().Select(static tag => $"{tag.Key}={tag.Value}").Order());
                    active[key] = active.GetValueOrDefault(key) + change;
                }
            });
            listener.Start();
            using (RawClient client = await server.ConnectAsync())
            {
                await client.SendAsync((byte[])[.. Header, .. Latin1(ProxyServer.Request)]);
                Assert.StartsWith("192.0.2.1:56324 ", (await client.ReadResponseAsync()).Text, StringComparison.Ordinal);
            }

            await server.StopAsync();
        }

        Assert.Equal(0, Assert.Single(active).Value);
    }

    [Fact]
    public async Task Without_Kestrel_it_works_as_well()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        using var logs = new LogCollector();
        var settings = new ProxyProtocolSettings(
            new ProxyProtocolOptions { Timeout = Patience.Limit }, logs.CreateLogger(ProxyProtocolLog.Category));
        var middleware = new ProxyProtocolMiddleware(
            static async connection =>
            {
                await connection.Transport.Output.WriteAsync(Latin1($"{connection.RemoteEndPoint}\n"));
                await connection.Transport.Input.CopyToAsync(connection.Transport.Output);
            },
            settings);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using (client)
        {
            Task serving = middleware.OnConnectionAsync(connection);
            for (int i = 0; i < Header.Length; i++)
            {
                await client.SendAsync(Header.AsMemory(i, 1));
            }

            await client.SendAsync("ping"u8.ToArray());
            Assert.Equal("192.0.2.1:56324", await client.ReadLineAsync());
            Assert.Equal("ping"u8.ToArray(), await client.ReadExactlyAsync(4));
            client.ShutdownSend();
            await serving.InTime();
            await connection.DisposeAsync().InTime();
        }

        await harness.Pools.AllReturnedAsync();
        Assert.Empty(logs.Entries);
    }

    private static byte[] Latin1(string text) => Encoding.Latin1.GetBytes(text);

    private sealed class ThrowingLoggerProvider : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) =>
            categoryName == ProxyProtocolLog.Category ? new ThrowingLogger() : NullLogger.Instance;

        public void Dispose()
        {
        }
    }

    private sealed class ThrowingLogger : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new InvalidOperationException("This logger fails.");
    }
}
