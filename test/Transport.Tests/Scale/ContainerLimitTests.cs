using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>
/// More handlers block than the container has threads or memory for. .NET ends the process when it needs a thread and there is none, and
/// the kernel ends it when it has taken all memory.
/// </summary>
[Collection(nameof(Alone))]
[OneMode]
public class ContainerLimitTests
{
    [Fact]
    public async Task A_server_whose_handlers_block_lives_in_a_group_that_has_fewer_threads_than_they_want()
    {
        const int Limit = 120;
        using LimitedGroup group = LimitedGroup.OfThreadsOrSkip(Limit);
        int most = 0;
        using ServerProcess server = await ServeBlockedAsync(
            group, clients: 300, milliseconds: 500, () => most = Math.Max(most, group.Read("pids.current")));

        // They have had their threads, and have left some.
        Assert.InRange(most, Limit / 2, Limit - 1);
        AssertTold(server, $"of {Limit} threads", "pids.max");
        await AssertServesAsync(server);
        await server.StopAsync();
    }

    /// <summary>Each of that many threads costs 130 KiB at least.</summary>
    [Fact]
    public async Task A_server_whose_handlers_block_lives_in_a_group_that_has_less_memory_than_they_want()
    {
        const int Mebibytes = 110;
        using LimitedGroup group = LimitedGroup.OfMemoryOrSkip(Mebibytes * 1024L * 1024);
        using ServerProcess server = await ServeBlockedAsync(group, clients: 1200, milliseconds: 3000, static () => { });

        // Where starting a thread takes several milliseconds, the first ones are done before there are that many.
        Assert.SkipUnless(
            Tells(server, $"of {Mebibytes} MiB of memory", "memory"), "this machine starts too few threads in 3 s to get to the limit");
        await AssertServesAsync(server);
        await server.StopAsync();
    }

    private static async Task<ServerProcess> ServeBlockedAsync(LimitedGroup group, int clients, int milliseconds, Action look)
    {
        ServerProcess server = await ServerProcess.StartAsync(descriptorLimit: 4096, group: group);
        List<RawClient> connected = [];
        try
        {
            using (RawClient first = await RawClient.ConnectAsync(server.EndPoint))
            {
                // Requests that come while routing builds its table wait for that, and go on on the thread pool.
                Assert.Equal("Slept for 1 ms.", await SleepAsync(first, 1));
            }

            for (int i = 0; i < clients; i++)
            {
                connected.Add(await RawClient.ConnectAsync(server.EndPoint));
            }

            foreach (RawClient client in connected)
            {
                await client.SendAsync($"GET /sleep/{milliseconds} HTTP/1.1\r\nHost: x\r\n\r\n");
            }

            foreach (RawClient client in connected)
            {
                Assert.Equal($"Slept for {milliseconds} ms.", (await client.ReadResponseAsync()).Text);
                look();
            }

            Assert.False(server.HasExited, server.Output);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
        finally
        {
            connected.ForEach(static client => client.Dispose());
        }
    }

    private static void AssertTold(ServerProcess server, string limit, string source) => Assert.True(
        Tells(server, limit, source), server.Output);

    private static bool Tells(ServerProcess server, string limit, string source) => server.Lines.Any(
        line => line.Contains(limit, StringComparison.Ordinal) && line.Contains(source, StringComparison.Ordinal));

    private static async Task AssertServesAsync(ServerProcess server)
    {
        using RawClient late = await RawClient.ConnectAsync(server.EndPoint);
        await late.SendAsync("GET /json HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Contains("Hello, World!", (await late.ReadResponseAsync()).Text, StringComparison.Ordinal);
    }

    private static async Task<string> SleepAsync(RawClient client, int milliseconds)
    {
        await client.SendAsync($"GET /sleep/{milliseconds} HTTP/1.1\r\nHost: x\r\n\r\n");
        return (await client.ReadResponseAsync()).Text;
    }
}
