using System.Diagnostics.Metrics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Hosting;

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
}
