using System.Diagnostics;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scheduling;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

public sealed class HealthCheckTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(50);

    [Fact]
    public async Task A_server_that_has_nothing_to_do_is_healthy()
    {
        await using TestServer server = await TestServer.StartAsync(
            TransportKind.Netpoll, static setup => Add(setup, Patience.Limit, Patience.Limit));

        HealthReportEntry entry = await CheckAsync(server);

        Assert.Equal((HealthStatus.Healthy, "The netpoll transport works."), (entry.Status, entry.Description));
        Assert.Equal(0.0, entry.Data["queueSeconds"]);
        Assert.Equal(["acceptPaused", "queueSeconds", "workers", "workersMissing"], entry.Data.Keys.Order());
    }

    /// <summary>The only worker blocks, and there may be no other: first work waits, and then nothing has run for too long.</summary>
    [Theory]
    [InlineData(null, HealthStatus.Unhealthy)]
    [InlineData(HealthStatus.Degraded, HealthStatus.Degraded)]
    [OneMode]
    public async Task A_server_that_stands_still_is_degraded_and_then_unhealthy(HealthStatus? failureStatus, HealthStatus expected)
    {
        await using Blockade blockade = await Blockade.StartAsync(1, setup =>
        {
            setup.Netpoll += static options => options.MaxWorkerCount = 1;
            setup.Services = services => services.AddHealthChecks().AddNetpollTransport(
                failureStatus: failureStatus,
                configure: static options => (options.QueueTimeBound, options.StallBound) = (Short, TimeSpan.FromMilliseconds(200)));
        });
        await blockade.BlockAsync(1);
        HealthReportEntry entry = await CheckAsync(blockade.Server);
        Assert.Contains("work has waited for a worker for ", entry.Description, StringComparison.Ordinal);

        // As soon as the bound has passed.
        entry = await UntilAsync(
            blockade.Server,
            static found => found.Description!.Contains("no turn has begun", StringComparison.Ordinal),
            "it has stood still for too long");
        Assert.Equal(expected, entry.Status);
        Assert.Contains("1 blocked worker(s) cannot be replaced", entry.Description, StringComparison.Ordinal);
        Assert.Equal(1, entry.Data["workersMissing"]);

        await blockade.ReleaseAsync();
        await UntilAsync(blockade.Server, static found => found.Status == HealthStatus.Healthy, "it is healthy again");
    }

    [Fact]
    [OneMode]
    public async Task A_server_that_stands_still_for_less_than_the_bound_is_degraded()
    {
        await using Blockade blockade = await Blockade.StartAsync(1, static setup =>
        {
            setup.Netpoll += static options => options.MaxWorkerCount = 1;
            Add(setup, Short, TimeSpan.FromDays(1));
        });
        await blockade.BlockAsync(1);

        Assert.Equal(HealthStatus.Degraded, (await CheckAsync(blockade.Server)).Status);
        await blockade.ReleaseAsync();
    }

    [Fact]
    public async Task While_accepting_pauses_it_is_degraded()
    {
        var kernel = new NoRoomKernel();
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.SystemCalls = kernel;
            Add(setup, Patience.Limit, Patience.Limit);
        });
        kernel.HasRoom = false;
        using RawClient client = await server.ConnectAsync();

        HealthReportEntry entry = await UntilAsync(server, static found => found.Status == HealthStatus.Degraded, "it is degraded");
        Assert.Equal(
            $"The netpoll transport: accepting on {server.EndPoint} pauses: the system has no room for another connection.",
            entry.Description);
        Assert.Equal(1, entry.Data["acceptPaused"]);

        kernel.HasRoom = true;
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);

        // The pause ends when accepting has found that there is nobody else.
        await UntilAsync(server, static found => found.Status == HealthStatus.Healthy, "it is healthy again");
    }

    [Fact]
    [OneMode]
    public async Task A_transport_that_serves_nothing_is_healthy_and_one_that_is_not_there_is_not()
    {
        await using ServiceProvider without = new ServiceCollection().AddLogging()
            .AddHealthChecks().AddNetpollTransport().Services.BuildServiceProvider();
        HealthReport report = await without.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(HealthStatus.Unhealthy, report.Status);
        Assert.Contains("UseNetpollTransport", report.Entries["netpoll"].Exception!.Message, StringComparison.Ordinal);

        using var logs = new LogCollector();
        await using var factory = new NetpollTransportFactory(Options.Create(new NetpollTransportOptions()), logs);
        await using ServiceProvider with = new ServiceCollection().AddLogging().AddSingleton(factory)
            .AddHealthChecks().AddNetpollTransport("other", tags: ["live"]).Services.BuildServiceProvider();
        report = await with.GetRequiredService<HealthCheckService>().CheckHealthAsync(static check => check.Tags.Contains("live"));
        Assert.Equal("The netpoll transport serves no endpoint.", report.Entries["other"].Description);
        Assert.Equal(HealthStatus.Healthy, report.Status);
    }

    [Theory]
    [InlineData("00:00:00", "00:00:10", "QueueTimeBound is 00:00:00;")]
    [InlineData("00:00:11", "00:00:10", "QueueTimeBound is 00:00:11;")]
    [InlineData("00:00:01", "1.00:00:01", "StallBound is 1.00:00:01;")]
    [OneMode]
    public void Bounds_out_of_their_range_are_refused(string queueTime, string stall, string words)
    {
        IHealthChecksBuilder builder = new ServiceCollection().AddHealthChecks();

        ArgumentException e = Assert.Throws<ArgumentException>(() => builder.AddNetpollTransport(configure: options =>
            (options.QueueTimeBound, options.StallBound) = (TimeSpan.Parse(queueTime, null), TimeSpan.Parse(stall, null))));

        Assert.Contains(words, e.Message, StringComparison.Ordinal);
    }

    private static void Add(TestServerSetup setup, TimeSpan queueTime, TimeSpan stall) =>
        setup.Services = services => services.AddHealthChecks().AddNetpollTransport(
            configure: options => (options.QueueTimeBound, options.StallBound) = (queueTime, stall));

    private static async Task<HealthReportEntry> CheckAsync(TestServer server)
    {
        HealthReport report = await server.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync().InTime();
        return report.Entries["netpoll"];
    }

    private static async Task<HealthReportEntry> UntilAsync(TestServer server, Func<HealthReportEntry, bool> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            HealthReportEntry entry = await CheckAsync(server);
            if (condition(entry))
            {
                return entry;
            }

            Assert.True(clock.Elapsed < Patience.Limit, $"Gave up waiting until {what}; it says: {entry.Description}");
            await Task.Delay(5);
        }
    }

    private sealed class NoRoomKernel : SystemCalls
    {
        private volatile bool _hasRoom = true;

        internal bool HasRoom
        {
            get => _hasRoom;
            set => _hasRoom = value;
        }

        protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
        {
            addressLength = 0;
            return HasRoom ? base.Accept4Once(fd, address, out addressLength, flags) : SyscallResult.Failure(Errno.EMFILE);
        }
    }
}
