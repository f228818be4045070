using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Several servers on one port, as several processes would be.</summary>
[OneMode]
public class ReusePortTests
{
    [Theory]
    [InlineData(1, AcceptStrategy.Shared, 1)]
    [InlineData(2, AcceptStrategy.Shared, 1)]
    [InlineData(2, AcceptStrategy.ReusePort, 2)]
    public async Task Two_servers_share_a_port_if_both_want_to(int groups, AcceptStrategy strategy, int sockets)
    {
        await using TestServer first = await StartAsync("first", 0, reusePort: true, groups, strategy);
        await using TestServer second = await StartAsync("second", first.EndPoint.Port, reusePort: true, groups, strategy);
        Assert.Equal(first.EndPoint, second.EndPoint);
        Assert.Equal(sockets, first.Factory!.GetAcceptQueues().Count);

        // The kernel chooses by the client's port.
        var answers = new HashSet<string>();
        for (int i = 0; i < 1_000 && answers.Count < 2; i++)
        {
            using RawClient client = await first.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            answers.Add((await client.ReadResponseAsync()).Text);
        }

        Assert.Equal(["first", "second"], answers.Order());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task The_second_is_refused_if_one_of_them_does_not_want_to(bool first, bool second)
    {
        await using TestServer server = await StartAsync("first", 0, first);

        IOException e = await Assert.ThrowsAsync<IOException>(() => StartAsync("second", server.EndPoint.Port, second));

        Assert.IsType<AddressInUseException>(e.InnerException);
    }

    [Fact]
    public void It_is_off_by_default() => Assert.False(new NetpollTransportOptions().ReusePort);

    private static Task<TestServer> StartAsync(
        string name, int port, bool reusePort, int groups = 1, AcceptStrategy strategy = AcceptStrategy.Shared) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Port = port;
            setup.App = context => context.Response.WriteAsync(name);
            setup.Netpoll = options => (options.ReusePort, options.WorkerCount, options.WorkerGroupCount, options.AcceptStrategy) =
                (reusePort, 2, groups, strategy);
        });
}
