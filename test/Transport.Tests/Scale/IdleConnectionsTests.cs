using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scale;

// Looks at the threads of the whole process.
[Collection(nameof(Alone))]
[OneMode]
public class IdleConnectionsTests
{
    private const int Connections = 500;

    // The monitor's, while it does not doze, are at least a hundred.
    private const int MostSwitches = 10;

    [Fact]
    public async Task The_threads_of_a_server_with_idle_connections_sleep()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < Connections; i++)
            {
                clients.Add(await server.ConnectAsync());
                await clients[i].SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                Assert.Equal(200, (await clients[i].ReadResponseAsync()).Status);
            }

            Dictionary<string, long> before = Switches();
            Assert.Contains(before.Keys, static thread => thread.Contains("monitor", StringComparison.Ordinal));
            long switches = long.MaxValue;
            await Patience.UntilAsync(
                () =>
                {
                    before = Switches();
                    Thread.Sleep(1000);
                    switches = Switches().Sum(thread => thread.Value - before.GetValueOrDefault(thread.Key));
                    return switches <= MostSwitches;
                },
                "nothing happens for a second");
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    // Of the transport's threads, by name and number: how often they have gone to sleep.
    private static Dictionary<string, long> Switches()
    {
        Dictionary<string, long> switches = [];
        foreach (string task in Directory.EnumerateDirectories("/proc/self/task"))
        {
            try
            {
                string[] status = File.ReadAllLines(Path.Combine(task, "status"));
                string name = status[0].Split('\t')[1];
                if (name.StartsWith("netpoll", StringComparison.Ordinal))
                {
                    string count = status.First(static line => line.StartsWith("voluntary_ctxt_switches", StringComparison.Ordinal));
                    switches[name + Path.GetFileName(task)] = long.Parse(count.Split('\t')[1], CultureInfo.InvariantCulture);
                }
            }
            catch (IOException)
            {
                // It has ended.
            }
        }

        return switches;
    }
}
