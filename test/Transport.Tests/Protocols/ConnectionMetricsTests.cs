using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>What Kestrel's own metrics say of a connection, which depends on how the transport tells of its end.</summary>
public class ConnectionMetricsTests
{
    /// <summary>The stream ends with an error, and the connection, later, without one.</summary>
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_stream_that_the_server_aborts_is_no_error_of_its_connection(TransportKind kind)
    {
        await using var server = await Http2Server.StartAsync(kind, static async context =>
        {
            await context.Response.WriteAsync("part");
            context.Abort();
        });
        ConcurrentQueue<Dictionary<string, object?>> ended = new();
        using MeterListener listener = Listen(server.Services.GetRequiredService<IMeterFactory>(), ended);

        using (HttpResponseMessage response = await server.Client.GetAsync("/", HttpCompletionOption.ResponseHeadersRead).InTime())
        {
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync().InTime());
        }

        await server.StopAsync();
        await Patience.UntilAsync(() => !ended.IsEmpty, "the end of the connection is measured");
        Dictionary<string, object?> tags = Assert.Single(ended);
        Assert.Equal(("tcp", "ipv4", "2"), (tags["network.transport"], tags["network.type"], tags["network.protocol.version"]));
        Assert.DoesNotContain("error.type", tags.Keys);
    }

    private static MeterListener Listen(IMeterFactory meters, ConcurrentQueue<Dictionary<string, object?>> ended)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "kestrel.connection.duration" && instrument.Meter.Scope == meters)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) => ended.Enqueue(new(tags.ToArray())));
        listener.Start();
        return listener;
    }
}
