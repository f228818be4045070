using System.Diagnostics.Metrics;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

[OneMode]
public class MetricsTests
{
    [Fact]
    public async Task The_counters_can_be_observed()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);
        IMeterFactory meters = server.Services.GetRequiredService<IMeterFactory>();
        Dictionary<string, long> seen = [];
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                // The meters of other servers in this process have the same name.
                if (instrument.Meter.Name == "KestrelNetpoll.Transport" && instrument.Meter.Scope == meters)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
            seen[instrument.Name + (tags.Length == 0 ? "" : $".{tags[0].Value}")] = value);
        listener.Start();
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        await client.ReadResponseAsync();

        listener.RecordObservableInstruments();

        Assert.Equal(1, seen["netpoll.accepted_connections"]);
        Assert.Equal(1, seen["netpoll.active_connections"]);
        Assert.Equal("GET / HTTP/1.1\r\nHost: x\r\n\r\n".Length, seen["netpoll.io.receive"]);
        Assert.InRange(seen["netpoll.io.transmit"], 100, 1000);
        Assert.InRange(seen["netpoll.turns"], 1, long.MaxValue);
        Assert.InRange(seen["netpoll.events"], 1, long.MaxValue);
    }

    [Fact]
    public void Only_the_bytes_are_worth_a_walk_over_the_connections()
    {
        using ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        IMeterFactory meters = services.GetRequiredService<IMeterFactory>();
        (int counters, int bytes) = (0, 0);
        NetpollMetrics.Register(
            meters,
            () => default(NetpollTransportStatistics) with { Polls = ++counters },
            () => (++bytes, 7));
        List<string> seen = [];
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, _, _, _) => seen.Add(instrument.Name));
        listener.Start();

        listener.RecordObservableInstruments();

        Assert.Equal(1, bytes);
        Assert.Equal(8, counters);
        Assert.Equal(10, seen.Count);
    }

    [Fact]
    public async Task The_counters_are_the_statistics_without_the_bytes()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("12345");
        await connection.Transport.Input.ReadAsync().InTime();

        Assert.Equal((5, 0), harness.Factory.GetBytes());
        NetpollTransportStatistics counters = harness.Factory.GetCounters();
        Assert.Equal((1, 1, 0), (counters.AcceptedConnections, counters.ActiveConnections, counters.BytesReceived));
        Assert.Equal(5, harness.Factory.GetStatistics().BytesReceived);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }
}
