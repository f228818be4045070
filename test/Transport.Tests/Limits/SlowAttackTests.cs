using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Limits;

/// <summary>
/// Some hundred attackers of slowhttptest, which hold connections by sending or taking next to nothing: they are gone when their time is
/// up, and others are answered all the while.
/// </summary>
[OneMode]
[Slow]
[Collection(nameof(Alone))]
public class SlowAttackTests
{
    private const int Attackers = 100;

    // Longer than the limits, shorter than the test.
    private const string Interval = "2";
    private const string TestSeconds = "40";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task Attackers_are_gone_and_others_are_answered_meanwhile()
    {
        CommandLineTool.Require("slowhttptest", "slowhttptest is not installed (Debian package slowhttptest).");
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Services = services => services.Configure<LoggerFilterOptions>(options => options.MinLevel = LogLevel.Warning);
            setup.Netpoll = options =>
            {
                (options.FirstByteTimeout, options.ReadIdleTimeout, options.WriteStallTimeout) = (Limit, Limit, Limit);
                options.SendBufferSize = 20_000;
            };

            // Only the transport's limits are to be at work.
            setup.Kestrel = static options => (options.Limits.MinRequestBodyDataRate, options.Limits.MinResponseDataRate) = (null, null);
            setup.App = static async context =>
            {
                await context.Request.Body.CopyToAsync(Stream.Null);
                await context.Response.Body.WriteAsync(new byte[context.Request.Path == "/large" ? 200_000 : 100]);
            };
        });

        Task<ToolOutput[]> attacking = Task.WhenAll(AttackAsync(server, "-H"), AttackAsync(server, "-B"), AttackAsync(server, "-X"));
        int answered = 0;
        while (!attacking.IsCompleted)
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            Assert.Equal(200, (await client.ReadResponseAsync()).Status);
            answered++;
            await Task.Delay(20);
        }

        // It says so only if all were gone before the time of its test was up.
        Assert.All(await attacking, output => Assert.True(
            output.Text.Contains("No open connections left", StringComparison.Ordinal),
            $"{server.Factory!.GetStatistics()} {output.Text[^Math.Min(output.Text.Length, 1_500)..]}"));
        Assert.NotEqual(0, answered);
        NetpollTransportStatistics statistics = server.Factory!.GetStatistics();
        Assert.True(statistics.ReadIdleTimeouts > Attackers * 2 * 0.9, $"{statistics}");
        Assert.True(statistics.WriteStallTimeouts > Attackers * 0.9, $"{statistics}");
        await Patience.UntilAsync(() => server.Factory.GetStatistics().ActiveConnections == 0, "all connections are gone");
        await server.Pools.AllReturnedAsync();
    }

    // A slow reader empties its buffer with each read: otherwise it would see the reset, which comes behind the bytes, minutes later.
    private static Task<ToolOutput> AttackAsync(TestServer server, string attack) => CommandLineTool.RunAsync("slowhttptest", [
        attack, "-c", Attackers.ToString(CultureInfo.InvariantCulture), "-r", "200", "-i", Interval, "-l", TestSeconds,
        "-w", "512", "-y", "1024", "-n", Interval, "-z", "4096", "-p", "3",
        "-u", $"http://{server.EndPoint}/{(attack == "-X" ? "large" : "small")}"]);
}
