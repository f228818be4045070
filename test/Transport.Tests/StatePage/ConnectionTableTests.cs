using System.Net;
using System.Text.Json;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.StatePage;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace KestrelNetpoll.Transport.Tests.StatePage;

/// <summary>Which connections are listed, and as what.</summary>
[OneMode]
public sealed class ConnectionTableTests
{
    [Fact]
    public async Task A_connection_is_new_then_open_then_ending()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        Assert.Equal((ConnectionPhase.New, ConnectionWait.Application), See(connection));

        ValueTask<System.IO.Pipelines.ReadResult> read = connection.Transport.Input.ReadAsync();
        await Patience.UntilAsync(() => See(connection) == (ConnectionPhase.Open, ConnectionWait.Input), "it waits for its peer");
        await client.SendAsync("x");
        await read.InTime();
        Assert.Equal((ConnectionPhase.Open, ConnectionWait.Application), See(connection));

        await connection.DisposeAsync().InTime();
        Assert.Equal((ConnectionPhase.Ending, ConnectionWait.Application), See(connection));
    }

    [Fact]
    public async Task Deadlines_are_told_until_they_have_passed_and_when_they_have()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        Assert.Equal((null, null), Deadlines(connection));

        var feature = (IConnectionDeadlineFeature)connection;
        feature.SetReadDeadline(TimeSpan.FromSeconds(100));
        feature.SetWriteDeadline(TimeSpan.FromSeconds(200));
        (double? read, double? write) = Deadlines(connection);
        Assert.InRange(read!.Value, 100 - Patience.Limit.TotalSeconds, 100);
        Assert.InRange(write!.Value, 200 - Patience.Limit.TotalSeconds, 200);

        feature.SetReadDeadline(TimeSpan.Zero);
        feature.SetWriteDeadline(Timeout.InfiniteTimeSpan);
        Assert.Equal((0.0, null), Deadlines(connection));
        await connection.DisposeAsync().InTime();
        Assert.Equal((null, null), Deadlines(connection));
    }

    [Fact]
    public async Task Every_column_can_be_sorted_by_in_both_directions()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        ConnectionView[] views = new ConnectionView[3];
        for (int i = 0; i < views.Length; i++)
        {
            (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
            client.Dispose();
            connection.RemoteEndPoint = new IPEndPoint(IPAddress.Loopback, 5001 + i);
            connection.LocalEndPoint = new IPEndPoint(IPAddress.Loopback, 6001 + i);
            connection.ConnectionId = $"id{i}";
            views[i] = new ConnectionView(
                connection, (ConnectionPhase)i, (ConnectionWait)i, Received: i, Sent: i, Queued: i, ReadDeadline: 1_000 + i, WriteDeadline: 0);
            await connection.DisposeAsync().InTime();
        }

        foreach (string column in ConnectionQuery.Columns)
        {
            // The later one is younger.
            int[] leastFirst = column == "age" ? [2, 1, 0] : [0, 1, 2];
            Assert.Equal(leastFirst, Numbers(Select([views[1], views[2], views[0]], column)));
            Assert.Equal(Enumerable.Reverse(leastFirst), Numbers(Select([views[1], views[2], views[0]], $"-{column}")));
        }
    }

    [Theory]
    [InlineData("received", 2, new[] { 0, 1 })]
    [InlineData("-received", 2, new[] { 4, 3 })]
    [InlineData("-received", 0, new int[0])]
    [InlineData("queued", 3, new[] { 3, 1, 4 })]
    [InlineData("-queued", 3, new[] { 3, 1, 4 })]
    [InlineData("peer", 4, new[] { 3, 1, 4, 0 })]
    public async Task The_first_are_listed_and_of_equal_ones_those_that_were_found_first(string sort, int limit, int[] listed)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        ConnectionView[] views =
        [
            .. new[] { 3, 1, 4, 0, 2 }.Select(number => new ConnectionView(
                connection, ConnectionPhase.Open, ConnectionWait.Input, number, Sent: 0, Queued: 0, ReadDeadline: 0, WriteDeadline: 0)),
        ];

        Assert.Equal(listed, Numbers(Select(views, sort, limit, "", out int matching)));
        Assert.Equal(views.Length, matching);
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public async Task A_peer_without_a_name_is_found_by_what_is_shown_of_it()
    {
        string path = Path.Combine(Path.GetTempPath(), $"netpoll-test-{Guid.NewGuid():N}.sock");
        await using TransportHarness harness = await TransportHarness.StartAsync(
            endPoint: new System.Net.Sockets.UnixDomainSocketEndPoint(path));
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;

        string shown = Assert.Single(Select([connection.View])).Peer;

        Assert.StartsWith($"process {Environment.ProcessId}, user ", shown, StringComparison.Ordinal);
        Assert.Single(Select([connection.View], "peer", 100, $"process {Environment.ProcessId}", out _));
        Assert.Empty(Select([connection.View], "peer", 100, "process 0", out _));
        await connection.DisposeAsync().InTime();
    }

    [Fact]
    public async Task Who_wants_no_more_than_numbers_gets_them()
    {
        await using StateServer server = await StateServer.StartAsync();

        JsonElement report = (await server.LookAsync("?connections=0")).GetProperty("connections");

        Assert.Equal((1, 1, 1), (report.Number("open"), report.Number("matching"), report.Number("leftOut")));
        Assert.Equal(0, report.GetProperty("listed").GetArrayLength());
    }

    /// <summary>A proxy in front may tell any address, in any form.</summary>
    [Fact]
    public async Task What_a_peer_says_means_nothing_in_markup()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        using RawClient peer = client;
        connection.RemoteEndPoint = new NamedEndPoint("</script><img src=x onerror=\"alert('x')\">&");

        string json = JsonSerializer.Serialize(
            new BlockedTurnsReport
            {
                ThresholdSeconds = 1,
                NamesRequests = true,
                Seen = 1,
                Listed =
                [
                    new BlockedTurnReport(
                        default, 1, "unknown", "<b>", "GET", "/<script>", "/{id}", "id", Assert.Single(Select([connection.View])).Peer, null, 1),
                ],
            },
            StateJson.Default.BlockedTurnsReport);

        Assert.DoesNotContain('<', json);
        Assert.DoesNotContain('>', json);
        Assert.DoesNotContain('&', json);
        Assert.DoesNotContain('\'', json);
        using JsonDocument parsed = JsonDocument.Parse(json);
        Assert.Equal("/<script>", parsed.RootElement.GetProperty("listed")[0].Text("path"));
        Assert.Equal(connection.RemoteEndPoint.ToString(), parsed.RootElement.GetProperty("listed")[0].Text("peer"));
        await connection.DisposeAsync().InTime();
    }

    [Theory]
    [InlineData("http://127.0.0.1:80", true)]
    [InlineData("https://127.0.0.1:80", true)]
    [InlineData("http://localhost:80", true)]
    [InlineData("http://[::]:81", true)]
    [InlineData("http://unix:/run/x.sock", true)]
    [InlineData("http://127.0.0.1:81", false)]
    [InlineData("http://localhost:81", false)]
    [InlineData("http://unix:/run/y.sock", false)]
    [InlineData("http://pipe:/x", false)]
    [InlineData("", false)]
    public void An_address_is_served_by_netpoll_if_one_of_its_endpoints_has_its_name(string address, bool isServed)
    {
        EndPoint[] endPoints =
        [
            new IPEndPoint(IPAddress.Loopback, 80), new IPEndPoint(IPAddress.IPv6Any, 81),
            new System.Net.Sockets.UnixDomainSocketEndPoint("/run/x.sock"),
        ];

        Assert.Equal(isServed ? "netpoll" : "another transport", ServerAddresses.ServedBy(address, endPoints));
    }

    private static (ConnectionPhase Phase, ConnectionWait WaitsFor) See(NetpollConnection connection) =>
        (connection.View.Phase, connection.View.WaitsFor);

    private static (double? Read, double? Write) Deadlines(NetpollConnection connection)
    {
        ConnectionReport report = Assert.Single(Select([connection.View]));
        return (report.ReadDeadlineSeconds, report.WriteDeadlineSeconds);
    }

    private static IEnumerable<int> Numbers(ConnectionReport[] reports) => reports.Select(static report => (int)report.Received);

    private static ConnectionReport[] Select(ConnectionView[] views, string sort = "age") => Select(views, sort, 100, "", out _);

    private static ConnectionReport[] Select(ConnectionView[] views, string sort, int limit, string filter, out int matching)
    {
        var asked = new QueryCollection(
            new Dictionary<string, StringValues> { ["sort"] = sort, ["connections"] = $"{limit}", ["filter"] = filter });
        ConnectionQuery? query = ConnectionQuery.Parse(asked, out string? mistake);
        Assert.Null(mistake);
        return ConnectionTable.Select(views, query!, MonotonicClock.Now, own: null, out matching);
    }

    private sealed class NamedEndPoint(string name) : EndPoint
    {
        public override string ToString() => name;
    }
}
