using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

/// <summary>Kestrel's metrics say why the transport's connections have ended.</summary>
[OneMode]
public sealed class ConnectionEndTests
{
    private const string Duration = "kestrel.connection.duration";

    [Theory]
    [InlineData("closed")]
    [InlineData("peer_finished")]
    [InlineData("peer_reset")]
    [InlineData("aborted")]
    [InlineData("write_deadline")]
    [InlineData("first_byte_timeout")]
    public async Task Why_a_connection_has_ended_is_a_tag_of_its_duration(string end)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = options => options.FirstByteTimeout = end == "first_byte_timeout" ? TimeSpan.FromMilliseconds(50) : null;
            setup.App = async context =>
            {
                if (end == "aborted")
                {
                    context.Abort();
                }
                else if (end == "write_deadline")
                {
                    context.Features.Get<IConnectionDeadlineFeature>()!.SetWriteDeadline(TimeSpan.Zero);
                    await context.Response.Body.WriteAsync(new byte[1]);
                }
            };
        });
        using var durations = new Durations(server.Services.GetRequiredService<IMeterFactory>());
        using RawClient client = await server.ConnectAsync();
        if (end != "first_byte_timeout")
        {
            string connection = end == "closed" ? "close" : "keep-alive";
            await client.SendAsync($"GET / HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n");
        }

        if (end is "peer_finished" or "peer_reset")
        {
            await client.ReadResponseAsync();
            if (end == "peer_reset")
            {
                client.Reset();
            }
            else
            {
                client.ShutdownSend();
            }
        }

        await Patience.UntilAsync(() => !durations.Ends.IsEmpty, "the connection has ended");

        Assert.Equal(end, Assert.Single(durations.Ends));
    }

    /// <summary>Nobody listens, so Kestrel has no use for it, and nothing is registered.</summary>
    [Fact]
    public async Task While_nobody_listens_there_is_nothing_to_tell()
    {
        IConnectionMetricsTagsFeature? tags = null;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, context =>
        {
            tags = context.Features.Get<IConnectionMetricsTagsFeature>();
            return Task.CompletedTask;
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);

        Assert.Null(tags);
    }

    [Fact]
    public async Task What_came_first_is_why_it_ended()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        client.Dispose();
        await connection.Transport.Input.ReadAsync().InTime();
        Assert.Equal(ConnectionEnd.PeerFinished, connection.End);

        connection.Abort(new Microsoft.AspNetCore.Connections.ConnectionAbortedException("too late"));
        Assert.Equal(ConnectionEnd.PeerFinished, connection.End);
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public void Every_end_has_a_name_of_its_own() => Assert.Equal(
        Enum.GetValues<ConnectionEnd>().Length - 1,
        Enum.GetValues<ConnectionEnd>().Select(NetpollConnection.NameOf).Distinct().Count());

    /// <summary>The ends of the connections whose duration was measured.</summary>
    private sealed class Durations : IDisposable
    {
        private readonly MeterListener _listener;

        internal Durations(IMeterFactory meters)
        {
            _listener = new MeterListener
            {
                InstrumentPublished = (instrument, listener) =>
                {
                    if (instrument.Name == Duration && instrument.Meter.Scope == meters)
                    {
                        listener.EnableMeasurementEvents(instrument);
                    }
                },
            };
            _listener.SetMeasurementEventCallback<double>((_, _, tags, _) =>
                Ends.Enqueue(tags.ToArray().SingleOrDefault(static tag => tag.Key == NetpollConnection.EndTag).Value as string));
            _listener.Start();
        }

        internal ConcurrentQueue<string?> Ends { get; } = new();

        public void Dispose() => _listener.Dispose();
    }
}
