using System.Globalization;
using System.Net;
using System.Reflection;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

[OneMode]
public class NetpollTransportOptionsTests
{
    [Fact]
    public void Defaults()
    {
        var options = new NetpollTransportOptions();

        Assert.Equal(Environment.ProcessorCount, options.WorkerCount);
        Assert.Equal(int.Parse(File.ReadAllText("/proc/sys/net/core/somaxconn"), CultureInfo.InvariantCulture), options.Backlog);
        Assert.Equal(10_000, options.MaxWorkerCount);
        Assert.Null(options.WorkerGroupCount);
        Assert.True(options.NoDelay);
        Assert.Equal(TimeSpan.FromMilliseconds(100), options.BlockedTurnThreshold);
        Assert.False(options.NameBlockedRequests);
        Assert.Equal(1024 * 1024, options.MaxReadBufferSize);
        Assert.Equal(64 * 1024, options.MaxWriteBufferSize);
        Assert.True(Validate(options).Succeeded);
    }

    [Fact]
    public void Everything_at_its_limits_is_valid()
    {
        Assert.True(Validate(new NetpollTransportOptions
        {
            WorkerCount = 1,
            Backlog = 1,
            MaxReadBufferSize = null,
            MaxWriteBufferSize = null,
        }).Succeeded);
        Assert.True(Validate(new NetpollTransportOptions
        {
            WorkerCount = 1024,
            Backlog = int.MaxValue,
            MaxReadBufferSize = 0,
            MaxWriteBufferSize = 0,
        }).Succeeded);
        Assert.True(Validate(new NetpollTransportOptions { MaxReadBufferSize = int.MaxValue, MaxWriteBufferSize = int.MaxValue }).Succeeded);
    }

    // What the suite's servers have if a test says nothing.
    private static int DefaultWorkers => Math.Max(Environment.ProcessorCount, SuiteSettings.Groups);

    public static TheoryData<string, long, string> OutOfRange => new()
    {
        { "WorkerCount", 0, "NetpollTransportOptions.WorkerCount is 0; it must be between 1 and 1024." },
        { "WorkerCount", 1025, "NetpollTransportOptions.WorkerCount is 1025; it must be between 1 and 1024." },
        { "MaxWorkerCount", 0, $"NetpollTransportOptions.MaxWorkerCount is 0; it must be between {DefaultWorkers} and 32767." },
        { "WorkerGroupCount", 0, $"NetpollTransportOptions.WorkerGroupCount is 0; it must be between 1 and {Math.Min(DefaultWorkers, 64)}." },
        {
            "MaxConnectionsPerAddress", 0,
            "NetpollTransportOptions.MaxConnectionsPerAddress is 0; it must be 1 or more."
        },
        { "TypeOfService", 256, "NetpollTransportOptions.TypeOfService is 256; it must be between 0 and 255." },
        { "TypeOfService", -1, "NetpollTransportOptions.TypeOfService is -1; it must be between 0 and 255." },
        { "Backlog", -5, "NetpollTransportOptions.Backlog is -5; it must be 1 or more." },
        {
            "MaxReadBufferSize", -1,
            "NetpollTransportOptions.MaxReadBufferSize is -1; it must be null, 0 (both mean no limit) or between 1 and 2147483647 bytes."
        },
        {
            "MaxWriteBufferSize", 2147483648,
            "NetpollTransportOptions.MaxWriteBufferSize is 2147483648; it must be null, 0 (both mean no limit) or between 1 and 2147483647 bytes."
        },
    };

    [Theory]
    [MemberData(nameof(OutOfRange))]
    public async Task A_value_out_of_range_stops_the_host_and_is_named(string option, long value, string message)
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() =>
            TestServer.StartAsync(TransportKind.Netpoll, setup => setup.Netpoll = options => Set(options, option, value)));

        Assert.Equal([message], e.Failures);
    }

    [Theory]
    [InlineData(4, 3, null, "NetpollTransportOptions.MaxWorkerCount is 3; it must be between 4 and 32767.")]
    [InlineData(4, 32768, null, "NetpollTransportOptions.MaxWorkerCount is 32768; it must be between 4 and 32767.")]
    [InlineData(4, -1, null, "NetpollTransportOptions.MaxWorkerCount is -1; it must be between 4 and 32767.")]
    [InlineData(4, 4, 5, "NetpollTransportOptions.WorkerGroupCount is 5; it must be between 1 and 4.")]
    [InlineData(100, 100, 65, "NetpollTransportOptions.WorkerGroupCount is 65; it must be between 1 and 64.")]
    public void Counts_that_do_not_fit_together_are_named(int workers, int maxWorkers, int? groups, string message) =>
        Assert.Equal([message], Validate(new NetpollTransportOptions
        {
            WorkerCount = workers,
            MaxWorkerCount = maxWorkers,
            WorkerGroupCount = groups,
        }).Failures);

    [Theory]
    [InlineData(4, 4, 4)]
    [InlineData(4, 32767, 1)]
    [InlineData(1024, 1024, 64)]
    public void Counts_may_be_equal(int workers, int maxWorkers, int groups) =>
        Assert.True(Validate(new NetpollTransportOptions
        {
            WorkerCount = workers,
            MaxWorkerCount = maxWorkers,
            WorkerGroupCount = groups,
        }).Succeeded);

    [Theory]
    [InlineData("FirstByteTimeout")]
    [InlineData("ReadIdleTimeout")]
    [InlineData("WriteStallTimeout")]
    [InlineData("MaxConnectionAge")]
    public void A_limit_is_off_by_default_and_lies_between_a_millisecond_and_24_days(string option)
    {
        PropertyInfo property = typeof(NetpollTransportOptions).GetProperty(option)!;
        Assert.Null(property.GetValue(new NetpollTransportOptions()));
        foreach ((TimeSpan value, bool valid) in new[]
        {
            (TimeSpan.Zero, false), (TimeSpan.FromTicks(9_999), false), (TimeSpan.FromMilliseconds(1), true),
            (TimeSpan.FromMilliseconds(int.MaxValue), true), (TimeSpan.FromDays(25), false), (TimeSpan.FromSeconds(-1), false),
        })
        {
            var options = new NetpollTransportOptions();
            property.SetValue(options, value);
            ValidateOptionsResult result = Validate(options);
            Assert.Equal(valid, result.Succeeded);
            if (!valid)
            {
                Assert.Equal(
                    [$"NetpollTransportOptions.{option} is {value}; it must be null or between 00:00:00.0010000 and 24.20:31:23.6470000."],
                    result.Failures);
            }
        }
    }

    [Theory]
    [InlineData("eth0", true)]
    [InlineData("a-name-of-15-by", true)]
    [InlineData("a-name-of-16-byt", false)]
    [InlineData("", false)]
    [InlineData("eth 0", false)]
    [InlineData("a/b", false)]
    public void A_device_has_a_name(string device, bool valid)
    {
        ValidateOptionsResult result = Validate(new NetpollTransportOptions { BindToDevice = device });

        string message =
            $"NetpollTransportOptions.BindToDevice is '{device}'; it must be null or the name of a network interface, of 1 to 15 bytes.";
        Assert.Equal(valid ? null : [message], result.Failures);
    }

    [Fact]
    public void A_backend_that_there_is_not_is_named() => Assert.Equal(
        ["NetpollTransportOptions.Backend is 7; it must be Auto or Epoll or Poll."],
        Validate(new NetpollTransportOptions { Backend = (NetpollBackend)7 }).Failures);

    [Fact]
    public void All_mistakes_are_reported_at_once()
    {
        ValidateOptionsResult result = Validate(new NetpollTransportOptions { WorkerCount = 0, Backlog = 0, MaxReadBufferSize = -1 });

        Assert.Equal(3, result.Failures!.Count());
    }

    [Fact]
    public void A_factory_made_by_hand_validates_too()
    {
        using var logs = new LogCollector();

        Assert.Throws<OptionsValidationException>(() =>
            new NetpollTransportFactory(Options.Create(new NetpollTransportOptions { Backlog = 0 }), logs));
    }

    [Fact]
    public async Task Changes_after_the_factory_was_made_have_no_effect()
    {
        var options = new NetpollTransportOptions { WorkerCount = 2 };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);

        options.WorkerCount = 9;
        options.CreateBoundListenSocket = static _ => throw new NotImplementedException();

        await harness.Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        Assert.Equal(2, harness.Factory.WorkerCount);
    }

    private static ValidateOptionsResult Validate(NetpollTransportOptions options) =>
        new NetpollTransportOptionsValidator().Validate(null, options);

    private static void Set(NetpollTransportOptions options, string option, long value)
    {
        PropertyInfo property = typeof(NetpollTransportOptions).GetProperty(option)!;
        Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        property.SetValue(options, Convert.ChangeType(value, type, CultureInfo.InvariantCulture));
    }
}
