using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>More handlers block than the container has threads. .NET ends the process when it needs a thread and there is none.</summary>
[Collection(nameof(Alone))]
[OneMode]
public class ThreadLimitTests
{
    private const int Limit = 120;
    private const int Clients = 300;

    [Fact]
    public async Task A_server_whose_handlers_block_lives_in_a_group_that_has_fewer_threads_than_they_want()
    {
        using PidsGroup group = PidsGroup.CreateOrSkip(Limit);
        using ServerProcess server = await ServerProcess.StartAsync(descriptorLimit: 1024, group: group);
        using (RawClient first = await RawClient.ConnectAsync(server.EndPoint))
        {
            // Requests that come while routing builds its table wait for that, and go on on the thread pool.
            Assert.Equal("Slept for 1 ms.", await SleepAsync(first, 1));
        }

        int most = 0;
        List<RawClient> clients = [];
        try
        {
            for (int i = 0; i < Clients; i++)
            {
                clients.Add(await RawClient.ConnectAsync(server.EndPoint));
            }

            foreach (RawClient client in clients)
            {
                await client.SendAsync("GET /sleep/500 HTTP/1.1\r\nHost: x\r\n\r\n");
            }

            foreach (RawClient client in clients)
            {
                Assert.Equal("Slept for 500 ms.", (await client.ReadResponseAsync()).Text);
                most = Math.Max(most, group.Count);
            }
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }

        Assert.False(server.HasExited, server.Output);

        // They have had their threads, and have left some.
        Assert.InRange(most, Limit / 2, Limit - 1);
        Assert.Contains(server.Lines, static line => line.Contains($"of {Limit} threads", StringComparison.Ordinal) && line.Contains("pids.max", StringComparison.Ordinal));
        using RawClient late = await RawClient.ConnectAsync(server.EndPoint);
        await late.SendAsync("GET /json HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Contains("Hello, World!", (await late.ReadResponseAsync()).Text, StringComparison.Ordinal);
        await server.StopAsync();
    }

    private static async Task<string> SleepAsync(RawClient client, int milliseconds)
    {
        await client.SendAsync($"GET /sleep/{milliseconds} HTTP/1.1\r\nHost: x\r\n\r\n");
        return (await client.ReadResponseAsync()).Text;
    }
}
