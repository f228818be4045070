using System.Text.RegularExpressions;
using KestrelNetpoll.Transport.HandOver;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.HandOver;

[OneMode]
public sealed partial class ConnectionReportTests
{
    [Fact]
    public async Task A_stop_says_who_is_still_connected()
    {
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int busy = 0;
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Services = static services => services.AddSingleton(new HandOverTimes { ReportInterval = TimeSpan.FromMilliseconds(20) });
            setup.App = async context =>
            {
                Interlocked.Increment(ref busy);
                await finish.Task;
                await context.Response.WriteAsync("done");
            };
        });
        List<RawClient> clients = [];
        for (int i = 0; i < 5; i++)
        {
            clients.Add(await server.ConnectAsync());
            await clients[i].SendAsync(HandOverPlace.Request);
            await Patience.UntilAsync(() => Volatile.Read(ref busy) == i + 1, "the request is being served");
        }

        Assert.Empty(server.Logs.Of(TransportKind.Netpoll, 145));
        Task stopping = server.StopAsync();
        await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 145).Count() > 1, "it has been said twice");

        LogEntry entry = server.Logs.Of(TransportKind.Netpoll, 145).First();
        Assert.Equal(LogLevel.Information, entry.Level);
        Match match = Report().Match(entry.Message);
        Assert.True(match.Success, entry.Message);
        Assert.Equal(
            clients.Take(3).Select(static client => client.Socket.LocalEndPoint!.ToString()), match.Groups["peer"].Captures.Select(static c => c.Value));
        finish.SetResult();
        await stopping;
        clients.ForEach(static client => client.Dispose());
    }

    [Fact]
    public async Task It_names_no_client_above_Debug_and_ends_with_the_host_that_nobody_disposes_of()
    {
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Services = static services => services.AddSingleton(new HandOverTimes { ReportInterval = TimeSpan.FromMilliseconds(20) });
            setup.LogFilter = static (_, level) => level >= LogLevel.Information;
            setup.App = async context =>
            {
                busy.SetResult();
                await finish.Task;
            };
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(HandOverPlace.Request);
        await busy.Task.InTime();

        Task stopping = server.StopAsync();
        await Patience.UntilAsync(() => server.Logs.Of(TransportKind.Netpoll, 145).Any(), "it has been said");
        Assert.True(server.Factory!.IsReportingConnections);
        Assert.Matches(
            @"^1 connection.* The oldest: \w+ to 127\.0\.0\.1:\d+ for \d+ s\.$",
            server.Logs.Of(TransportKind.Netpoll, 145).First().Message);
        finish.SetResult();
        await stopping;

        Assert.False(server.Factory.IsReportingConnections);
    }

    [GeneratedRegex(
        @"^5 connection\(s\) are still open \d+ s after the host began to stop\. The oldest: (\w+ from (?<peer>\S+) to 127\.0\.0\.1:\d+ for \d+ s(; |\.$)){3}$")]
    private static partial Regex Report();
}
