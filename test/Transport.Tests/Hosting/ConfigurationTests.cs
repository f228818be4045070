using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

[OneMode]
public class ConfigurationTests
{
    [Fact]
    public void Every_option_comes_from_the_section()
    {
        NetpollTransportOptions options = Configure(new()
        {
            ["WorkerCount"] = "3",
            ["MaxWorkerCount"] = "300",
            ["WorkerGroupCount"] = "2",
            ["Backlog"] = "17",
            ["BlockedTurnThreshold"] = "00:00:00.250",
            ["NameBlockedRequests"] = "true",
            ["NoDelay"] = "false",
            ["MaxReadBufferSize"] = "1000",
            ["MaxWriteBufferSize"] = "0",
            ["WaitForDataBeforeAllocatingBuffer"] = "false",
            ["ApplicationScheduling"] = "threadpool",
            ["AcceptStrategy"] = "ReusePort",
            ["Backend"] = "poll",
            ["TcpKeepAliveTime"] = "00:01:00",
            ["TcpKeepAliveInterval"] = "00:00:05",
            ["TcpKeepAliveRetryCount"] = "4",
            ["UserTimeout"] = "00:00:30.5",
            ["DeferAccept"] = "00:00:02",
            ["FastOpen"] = "128",
            ["ReceiveBufferSize"] = "65536",
            ["SendBufferSize"] = "131072",
            ["UnixSocketMode"] = "UserRead, UserWrite",
            ["ReplaceStaleUnixSocket"] = "true",
            ["FirstByteTimeout"] = "00:00:01",
            ["ReadIdleTimeout"] = "00:00:02",
            ["WriteStallTimeout"] = "00:00:03.5",
            ["MaxConnectionAge"] = "01:00:00",
            ["MaxConnectionsPerAddress"] = "20",
            ["FreeBind"] = "true",
            ["BindToDevice"] = "eth0",
            ["Mark"] = "0xFFFFFFFF",
            ["TypeOfService"] = "184",
            ["MultipathTcp"] = "true",
            ["ReusePort"] = "true",
        });

        Assert.Equal(3, options.WorkerCount);
        Assert.Equal(300, options.MaxWorkerCount);
        Assert.Equal(2, options.WorkerGroupCount);
        Assert.Equal(17, options.Backlog);
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.BlockedTurnThreshold);
        Assert.True(options.NameBlockedRequests);
        Assert.False(options.NoDelay);
        Assert.Equal(1000, options.MaxReadBufferSize);
        Assert.Equal(0, options.MaxWriteBufferSize);
        Assert.False(options.WaitForDataBeforeAllocatingBuffer);
        Assert.Equal(ApplicationScheduling.ThreadPool, options.ApplicationScheduling);
        Assert.Equal(AcceptStrategy.ReusePort, options.AcceptStrategy);
        Assert.Equal(NetpollBackend.Poll, options.Backend);
        Assert.Equal(TimeSpan.FromMinutes(1), options.TcpKeepAliveTime);
        Assert.Equal(TimeSpan.FromSeconds(5), options.TcpKeepAliveInterval);
        Assert.Equal(4, options.TcpKeepAliveRetryCount);
        Assert.Equal(TimeSpan.FromSeconds(30.5), options.UserTimeout);
        Assert.Equal(TimeSpan.FromSeconds(2), options.DeferAccept);
        Assert.Equal(128, options.FastOpen);
        Assert.Equal(65536, options.ReceiveBufferSize);
        Assert.Equal(131072, options.SendBufferSize);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, options.UnixSocketMode);
        Assert.True(options.ReplaceStaleUnixSocket);
        Assert.Equal(TimeSpan.FromSeconds(1), options.FirstByteTimeout);
        Assert.Equal(TimeSpan.FromSeconds(2), options.ReadIdleTimeout);
        Assert.Equal(TimeSpan.FromSeconds(3.5), options.WriteStallTimeout);
        Assert.Equal(TimeSpan.FromHours(1), options.MaxConnectionAge);
        Assert.Equal(20, options.MaxConnectionsPerAddress);
        Assert.True(options.FreeBind);
        Assert.Equal("eth0", options.BindToDevice);
        Assert.Equal(uint.MaxValue, options.Mark);
        Assert.Equal(184, options.TypeOfService);
        Assert.True(options.MultipathTcp);
        Assert.True(options.ReusePort);
    }

    [Fact]
    public void Code_wins_over_configuration_whatever_comes_first()
    {
        NetpollTransportOptions options = Configure(
            new() { ["WorkerCount"] = "3", ["Backlog"] = "17" }, static options => options.WorkerCount = 5);

        Assert.Equal((5, 17), (options.WorkerCount, options.Backlog));
    }

    [Fact]
    public void Code_wins_also_if_it_was_registered_before_the_transport()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.Configure<NetpollTransportOptions>(static options => (options.WorkerCount, options.Backlog) = (5, 6));
        builder.WebHost.UseKestrel()
            .UseNetpollTransport(static options => options.Backlog = 7)
            .UseNetpollTransport(static options => options.NoDelay = false);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Kestrel:Netpoll:WorkerCount"] = "3",
            ["Kestrel:Netpoll:Backlog"] = "4",
            ["Kestrel:Netpoll:NoDelay"] = "true",
            ["Kestrel:Netpoll:FastOpen"] = "8",
        });
        using ServiceProvider services = builder.Services.BuildServiceProvider();

        Assert.Single(services.GetServices<IConfigureOptions<NetpollTransportOptions>>().OfType<NetpollTransportOptionsSetup>());
        NetpollTransportOptions options = services.GetRequiredService<IOptions<NetpollTransportOptions>>().Value;
        Assert.Equal((5, 7, false, 8), (options.WorkerCount, options.Backlog, options.NoDelay, options.FastOpen));
    }

    [Theory]
    [InlineData("660", 0x1B0)]
    [InlineData("0777", 0x1FF)]
    public void Digits_are_an_octal_mode(string mode, int expected) =>
        Assert.Equal((UnixFileMode)expected, Configure(new() { ["UnixSocketMode"] = mode, ["Backlog"] = "17" }).UnixSocketMode);

    [Theory]
    [InlineData("WorkerCount", "many", "a whole number")]
    [InlineData("WorkerCount", "", "a whole number")]
    [InlineData("WorkerGroupCount", "4.5", "a whole number")]
    [InlineData("MaxReadBufferSize", "1MB", "a whole number of bytes")]
    [InlineData("NoDelay", "1", "true or false")]
    [InlineData("ApplicationScheduling", "Everywhere", "Workers or ThreadPool or WorkersOnly")]
    [InlineData("ApplicationScheduling", "7", "Workers or ThreadPool or WorkersOnly")]
    [InlineData("AcceptStrategy", "Reuse", "Shared or ReusePort")]
    [InlineData("Backend", "Kqueue", "Auto or Epoll or Poll")]
    [InlineData("DeferAccept", "5", "a time as hours:minutes:seconds; 5 seconds are 00:00:05")]
    [InlineData("UserTimeout", "90.5", "a time as hours:minutes:seconds; 90.5 seconds are 00:01:30.5000000")]
    [InlineData("FreeBind", "on", "true or false")]
    [InlineData("MultipathTcp", "1", "true or false")]
    [InlineData("ReusePort", "yes", "true or false")]
    [InlineData("FirstByteTimeout", "5 s", "a time as hours:minutes:seconds; 5 seconds are 00:00:05")]
    [InlineData("WriteStallTimeout", "5", "a time as hours:minutes:seconds; 5 seconds are 00:00:05")]
    [InlineData("MaxConnectionAge", "1h", "a time as hours:minutes:seconds; 5 seconds are 00:00:05")]
    [InlineData("Mark", "red", "a whole number such as 184 or 0xB8")]
    [InlineData("TypeOfService", "0xEG", "a whole number such as 184 or 0xB8")]
    [InlineData("MaxConnectionsPerAddress", "few", "a whole number")]
    [InlineData("ReadIdleTimeout", "never", "a time as hours:minutes:seconds; 5 seconds are 00:00:05")]
    [InlineData("UserTimeout", "30s", "a time as hours:minutes:seconds; 5 seconds are 00:00:05")]
    public void A_value_that_cannot_be_meant_is_named_with_what_it_must_be(string key, string value, string form) => Assert.Equal(
        [$"'Kestrel:Netpoll:{key}' is '{value}'; it must be {form}."], FailuresOf(new() { [key] = value }));

    [Theory]
    [InlineData("689")]
    [InlineData("rw-")]
    [InlineData("77777777777777")]
    public void A_mode_that_is_none_is_named_with_the_names_that_there_are(string mode) => Assert.StartsWith(
        $"'Kestrel:Netpoll:UnixSocketMode' is '{mode}'; it must be an octal number such as 660, or some of None, OtherExecute, ",
        Assert.Single(FailuresOf(new() { ["UnixSocketMode"] = mode })),
        StringComparison.Ordinal);

    [Theory]
    [InlineData("WorkerCont", "WorkerCount")]
    [InlineData("workercounts", "WorkerCount")]
    [InlineData("Groups", null)]
    [InlineData("WorkerGroups", "WorkerGroupCount")]
    [InlineData("KeepAliveTime", "TcpKeepAliveTime")]
    [InlineData("Unrelated", null)]
    [InlineData("0", null)]
    public void A_key_that_is_no_option_is_named_with_the_nearest_and_with_all_that_there_are(string key, string? nearest)
    {
        string[] options = [.. typeof(NetpollTransportOptions).GetProperties().Select(static property => property.Name)
            .Where(static name => name
                is not (nameof(NetpollTransportOptions.CreateBoundListenSocket) or nameof(NetpollTransportOptions.OnAccept)))
            .Order(StringComparer.Ordinal)];
        string suggestion = nearest is null ? "" : $" Did you mean '{nearest}'?";

        Assert.Equal(
            [$"'Kestrel:Netpoll:{key}' is no option of the netpoll transport.{suggestion} The options are {string.Join(", ", options)}."],
            FailuresOf(new() { [key] = "3" }));
    }

    [Theory]
    [InlineData("CreateBoundListenSocket")]
    [InlineData("OnAccept")]
    public void An_option_that_only_code_can_set_is_said_to_be_one(string option) => Assert.Equal(
        [
            $"'Kestrel:Netpoll:{option}' is a function, which only code can set: "
                + $"UseNetpollTransport(options => options.{option} = ...).",
        ],
        FailuresOf(new() { [option] = "x" }));

    [Fact]
    public void A_section_in_the_place_of_a_value_is_named() => Assert.Equal(
        ["'Kestrel:Netpoll:WorkerCount' is a section; it must be a value."], FailuresOf(new() { ["WorkerCount:Maximum"] = "3" }));

    [Fact]
    public void A_value_in_the_place_of_the_section_is_named() => Assert.Equal(
        ["'Kestrel:Netpoll' is 'x'; it must be a section of options, such as 'Kestrel:Netpoll:WorkerCount'."],
        FailuresOf(new() { ["Kestrel:Netpoll"] = "x" }, root: ""));

    [Theory]
    [InlineData("Kestrel:Netpol:WorkerCount", "Kestrel:Netpol")]
    [InlineData("Kestrel:NetPool:WorkerCount", "Kestrel:NetPool")]
    [InlineData("Kestrel:NetpollTransport", "Kestrel:NetpollTransport")]
    [InlineData("Kestrel:KestrelNetpoll:WorkerCount", "Kestrel:KestrelNetpoll")]
    public void A_section_with_nearly_the_name_is_named(string key, string section) => Assert.Equal(
        [$"The configuration has '{section}', which nothing reads. Did you mean 'Kestrel:Netpoll'?"],
        FailuresOf(new() { [key] = "3" }, root: ""));

    [Fact]
    public void All_that_is_wrong_is_said_at_once() =>
        Assert.Equal(3, FailuresOf(new() { ["WorkerCont"] = "3", ["WorkerCount"] = "many", ["DeferAccept"] = "5" }).Count());

    [Fact]
    public void What_Kestrel_reads_itself_is_left_alone_and_case_does_not_matter()
    {
        NetpollTransportOptions options = Configure(
            new()
            {
                ["KESTREL:NETPOLL:WORKERCOUNT"] = "3",
                ["Kestrel:Endpoints:Http:Url"] = "http://localhost:5000",
                ["Kestrel:EndpointDefaults:Protocols"] = "Http1",
                ["Kestrel:Certificates:Default:Path"] = "none",
                ["Kestrel:Limits:MaxConcurrentConnections"] = "3",
            },
            root: "");

        Assert.Equal(3, options.WorkerCount);
    }

    [Fact]
    public void Nothing_means_null_and_no_change_to_what_cannot_be_null()
    {
        NetpollTransportOptions options = Configure(
            new() { ["MaxReadBufferSize"] = "", ["MaxWriteBufferSize"] = null, ["WorkerCount"] = null });

        Assert.Null(options.MaxReadBufferSize);
        Assert.Null(options.MaxWriteBufferSize);
        Assert.Equal(Environment.ProcessorCount, options.WorkerCount);
    }

    /// <summary>Building the application logs nothing, so it must not be what throws.</summary>
    [Theory]
    [InlineData("Backlog", "many")]
    [InlineData("Backlog", "0")]
    [InlineData("Backlock", "1")]
    public async Task Mistakes_are_found_and_logged_when_the_host_starts(string key, string value)
    {
        using var logs = new LogCollector();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.AddProvider(logs);
        builder.WebHost.UseKestrel().UseNetpollTransport();
        builder.Configuration.AddInMemoryCollection([KeyValuePair.Create<string, string?>($"Kestrel:Netpoll:{key}", value)]);
        await using WebApplication app = builder.Build();

        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync().InTime());

        Assert.Contains(key, e.Message, StringComparison.Ordinal);
        Assert.Contains(logs.Entries, entry => entry.Level >= LogLevel.Error && entry.Exception == e);
    }

    [Fact]
    public void What_is_out_of_range_is_named()
    {
        OptionsValidationException e = Assert.Throws<OptionsValidationException>(
            () => Configure(new()
            {
                ["UnixSocketMode"] = "7777",
                ["TcpKeepAliveTime"] = "10:00:00",
                ["WorkerCount"] = "3",
                ["MaxWorkerCount"] = "2",
                ["WorkerGroupCount"] = "4",
            }));

        Assert.Equal(
            [
                "NetpollTransportOptions.MaxWorkerCount is 2; it must be between 3 and 32767.",
                "NetpollTransportOptions.WorkerGroupCount is 4; it must be between 1 and 3.",
                "NetpollTransportOptions.TcpKeepAliveTime is 10:00:00; it must be null or between 00:00:01 and 09:06:07.",
                "NetpollTransportOptions.UnixSocketMode is octal 7777; it must be null or permission bits, up to octal 777.",
            ],
            e.Failures);
    }

    private static IEnumerable<string> FailuresOf(Dictionary<string, string?> section, string root = "Kestrel:Netpoll:") =>
        Assert.Throws<OptionsValidationException>(() => Configure(section, root: root)).Failures;

    private static NetpollTransportOptions Configure(
        Dictionary<string, string?> section, Action<NetpollTransportOptions>? code = null, string root = "Kestrel:Netpoll:")
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel().UseNetpollTransport(code);
        builder.Configuration.AddInMemoryCollection(section.Select(pair => KeyValuePair.Create(root + pair.Key, pair.Value)));
        using ServiceProvider services = builder.Services.BuildServiceProvider();
        return services.GetRequiredService<IOptions<NetpollTransportOptions>>().Value;
    }
}
