using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
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

    [Theory]
    [InlineData(nameof(ConnectionLimit.FirstByteTimeout), "first_byte_timeout")]
    [InlineData(nameof(ConnectionLimit.ReadIdleTimeout), "read_idle_timeout")]
    [InlineData(nameof(ConnectionLimit.WriteStallTimeout), "write_stall_timeout")]
    [InlineData(nameof(ConnectionLimit.MaxConnectionAge), "max_connection_age")]
    public async Task A_limit_ends_a_connection_under_its_name(string limit, string end)
    {
        await using TransportHarness harness = await StartWithLimitsAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;

        connection.OnLimitReached(Enum.Parse<ConnectionLimit>(limit));

        await connection.DisposeAsync().InTime();
        Assert.Equal(end, NetpollConnection.NameOf(connection.End));
    }

    [Theory]
    [InlineData(false, "socket_error")]
    [InlineData(true, "peer_reset")]
    public async Task A_failed_send_says_what_it_met(bool isReset, string end)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;

        connection.OnOutputFailed(isReset ? new ConnectionResetException("reset") : new IOException("no route"));

        await connection.DisposeAsync().InTime();
        Assert.Equal(end, NetpollConnection.NameOf(connection.End));
    }

    /// <summary>Nobody listens: Kestrel sets no such feature then.</summary>
    [Fact]
    public async Task While_nobody_listens_nothing_is_registered()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        var completion = new Completion();
        connection.Features.Set<IConnectionCompleteFeature>(completion);
        connection.Features.Set<IConnectionMetricsTagsFeature>(null);

        await connection.DisposeAsync().InTime();

        Assert.Equal(0, completion.Registered);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task There_is_one_tag_however_often_the_feature_is_set(bool isTakenAlready)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        var completion = new Completion();
        var tags = new TagList();
        connection.Features.Set<IConnectionCompleteFeature>(completion);
        connection.Features.Set<IConnectionMetricsTagsFeature>(tags);
        connection.Features.Set<IConnectionMetricsTagsFeature>(tags);
        connection.Features.Set<IConnectionMetricsTagsFeature>(new TagList());
        if (isTakenAlready)
        {
            tags.Tags.Add(new(NetpollConnection.EndTag, "its own"));
        }

        await connection.DisposeAsync().InTime();
        await completion.CompleteAsync();

        Assert.Equal(new(NetpollConnection.EndTag, isTakenAlready ? "its own" : "closed"), Assert.Single(tags.Tags));
        Assert.Equal(1, completion.Registered);
    }

    [Fact]
    public async Task The_feature_may_be_set_after_the_connection_has_completed()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        var completion = new Completion();
        connection.Features.Set<IConnectionCompleteFeature>(completion);
        await completion.CompleteAsync();
        var tags = new TagList();

        connection.Features.Set<IConnectionMetricsTagsFeature>(tags);

        Assert.Same(tags, connection.Features.Get<IConnectionMetricsTagsFeature>());
        await connection.DisposeAsync().InTime();
        Assert.Empty(tags.Tags);
    }

    /// <summary>It may go on sending, and what cuts that short says more.</summary>
    [Theory]
    [InlineData(true, "peer_reset")]
    [InlineData(false, "write_stall_timeout")]
    public async Task What_cuts_short_a_connection_whose_peer_has_finished_is_why_it_ended(bool isReset, string end)
    {
        await using TransportHarness harness = await StartWithLimitsAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        client.ShutdownSend();
        Assert.True((await connection.Transport.Input.ReadAsync().InTime()).IsCompleted);
        Assert.Equal(ConnectionEnd.PeerFinished, connection.End);

        if (isReset)
        {
            connection.OnOutputFailed(new ConnectionResetException("reset"));
        }
        else
        {
            connection.OnLimitReached(ConnectionLimit.WriteStallTimeout);
        }

        await connection.DisposeAsync().InTime();
        Assert.Equal(end, NetpollConnection.NameOf(connection.End));
    }

    [Fact]
    public async Task Kestrels_answer_to_its_age_is_not_why_a_connection_ended()
    {
        await using TransportHarness harness = await StartWithLimitsAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        connection.OnLimitReached(ConnectionLimit.MaxConnectionAge);

        connection.Abort(new ConnectionAbortedException("its time is up"));

        Assert.Equal(ConnectionEnd.MaxConnectionAge, connection.End);
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public async Task What_came_first_is_why_it_ended()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        client.Dispose();
        await connection.Transport.Input.ReadAsync().InTime();
        Assert.Equal(ConnectionEnd.PeerFinished, connection.End);

        connection.Abort(new ConnectionAbortedException("too late"));
        Assert.Equal(ConnectionEnd.PeerFinished, connection.End);
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public void Every_end_has_a_name_of_its_own() => Assert.Equal(
        Enum.GetValues<ConnectionEnd>().Length - 1,
        Enum.GetValues<ConnectionEnd>().Select(NetpollConnection.NameOf).Distinct().Count());

    // So long that nothing reaches one by itself.
    private static Task<TransportHarness> StartWithLimitsAsync() => TransportHarness.StartAsync(options: new NetpollTransportOptions
    {
        FirstByteTimeout = TimeSpan.FromHours(1),
        ReadIdleTimeout = TimeSpan.FromHours(1),
        WriteStallTimeout = TimeSpan.FromHours(1),
        MaxConnectionAge = TimeSpan.FromHours(1),
    });

    /// <summary>As Kestrel's: what comes after the end is refused.</summary>
    private sealed class Completion : IConnectionCompleteFeature
    {
        private readonly List<(Func<object, Task> Callback, object State)> _callbacks = [];
        private bool _isComplete;

        internal int Registered => _callbacks.Count;

        public void OnCompleted(Func<object, Task> callback, object state)
        {
            if (_isComplete)
            {
                throw new InvalidOperationException("The connection is already complete.");
            }

            _callbacks.Add((callback, state));
        }

        internal async Task CompleteAsync()
        {
            _isComplete = true;
            foreach ((Func<object, Task> callback, object state) in _callbacks)
            {
                await callback(state);
            }
        }
    }

    private sealed class TagList : IConnectionMetricsTagsFeature
    {
        public ICollection<KeyValuePair<string, object?>> Tags { get; } = [];
    }

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
