using System.Diagnostics;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Listening;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scale;

// Measures processor time, which others would take away.
[Collection(nameof(Alone))]
[OneMode]
public class DescriptorExhaustionTests
{
    private const int DescriptorLimit = 240;
    private const int Clients = 400;
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    // The measurement that this test is about: a full server must not spin. Others may take the processor, never give it.
    private const double CpuBound = 0.10;
    private const int MaxWindows = 8;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(2);

    [Slow]
    [Fact]
    public async Task A_process_that_runs_out_of_descriptors_stays_alive_and_calm_and_serves_again()
    {
        using ServerProcess server = await StartAsync();
        var clock = Stopwatch.StartNew();
        using (RawClient first = await RawClient.ConnectAsync(server.EndPoint))
        {
            // What the first request needs, mostly assemblies, is there before the crowd is.
            Assert.Equal("Hello, World!", await AskAsync(first));
        }

        List<RawClient> clients = [];
        try
        {
            await ConnectAllAsync(server, clients);
            double best = double.MaxValue;
            for (int i = 0; i < MaxWindows && best >= CpuBound; i++)
            {
                best = Math.Min(best, await server.MeasureCpuAsync(Window));
            }

            Assert.False(server.HasExited, server.Output);
            Assert.InRange(best, 0, CpuBound);
            Assert.InRange(clients.Count(static client => client.Socket.Available > 0), 1, DescriptorLimit);

            // Those that were served go, and the others have their turn. More are left than fit: they go, too, when they are done.
            foreach (RawClient client in clients)
            {
                Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
                client.Dispose();
            }

            using RawClient late = await RawClient.ConnectAsync(server.EndPoint);
            Assert.Equal("Hello, World!", await AskAsync(late));
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }

        // Once per interval, for however long all this has taken.
        Assert.InRange(Warnings(server), 1, 1 + (int)(clock.Elapsed / AcceptBackoff.WarningInterval));
        Assert.DoesNotContain(server.Lines, static line => line.StartsWith("fail:", StringComparison.Ordinal));
        await server.StopAsync();
    }

    [Fact]
    public async Task A_process_that_is_full_before_its_first_request_serves_when_there_is_room()
    {
        using ServerProcess server = await StartAsync();
        List<RawClient> clients = [];
        try
        {
            await ConnectAllAsync(server, clients);
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }

        // The first answers may be errors, while the process has nothing to load its assemblies with. It has to get over it.
        using RawClient late = await RawClient.ConnectAsync(server.EndPoint);
        Assert.True(await AskAsync(late) == "Hello, World!", server.Output);
        await server.StopAsync();
    }

    private static async Task<ServerProcess> StartAsync()
    {
        int backlog = PlatformSupport.ReadListenBacklog();
        Assert.SkipUnless(backlog >= Clients, $"net.core.somaxconn is {backlog}; {Clients} connections must be able to wait.");
        return await ServerProcess.StartAsync(DescriptorLimit);
    }

    private static async Task ConnectAllAsync(ServerProcess server, List<RawClient> clients)
    {
        for (int i = 0; i < Clients; i++)
        {
            clients.Add(await RawClient.ConnectAsync(server.EndPoint));
            await clients[i].SendAsync(Request);
        }

        await Patience.UntilAsync(() => Warnings(server) != 0 || server.HasExited, "the server says that it is full");
        Assert.False(server.HasExited, server.Output);
    }

    private static async Task<string> AskAsync(RawClient client)
    {
        await client.SendAsync(Request);
        return (await client.ReadResponseAsync()).Text;
    }

    private static int Warnings(ServerProcess server) =>
        server.Lines.Count(static line => line.Contains("Not accepting on ", StringComparison.Ordinal));
}
