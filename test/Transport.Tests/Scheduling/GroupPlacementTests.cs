using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>New connections go to the group that has the fewest.</summary>
[OneMode]
public sealed class GroupPlacementTests
{
    public static TheoryData<int, AcceptStrategy> Settings => new MatrixTheoryData<int, AcceptStrategy>([1, 2, 4], Enum.GetValues<AcceptStrategy>());

    [Theory]
    [MemberData(nameof(Settings))]
    public async Task Connections_spread_evenly(int groups, AcceptStrategy strategy)
    {
        NetpollTransportOptions options = new() { WorkerCount = 4, WorkerGroupCount = groups, AcceptStrategy = strategy };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);
        List<RawClient> clients = [];
        List<NetpollConnection> connections = [];
        int[] idle = Counts(harness);
        for (int i = 0; i < 40; i++)
        {
            (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
            connections.Add(connection);
            clients.Add(client);
            int[] now = [.. Counts(harness).Zip(idle, static (count, before) => count - before)];
            Assert.Equal(i + 1, now.Sum());
            Assert.InRange(now.Max() - now.Min(), 0, 1 + idle.Max() - idle.Min());
        }

        foreach (NetpollConnection connection in connections)
        {
            await connection.DisposeAsync();
        }

        clients.ForEach(static client => client.Dispose());
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(8, 1)]
    [InlineData(9, 2)]
    [InlineData(16, 2)]
    [InlineData(64, 8)]
    [InlineData(1024, 64)]
    public void There_is_a_group_for_every_8_workers(int workers, int groups) =>
        Assert.Equal(groups, new NetpollTransportOptions { WorkerCount = workers }.EffectiveWorkerGroupCount);

    private static int[] Counts(TransportHarness harness) =>
        [.. harness.Factory.Groups.Select(static group => group.Poller.Table.OpenCount)];
}
