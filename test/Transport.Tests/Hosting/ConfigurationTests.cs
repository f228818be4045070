using KestrelNetpoll.Transport.Internal;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

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
            ["NoDelay"] = "false",
            ["MaxReadBufferSize"] = "1000",
            ["MaxWriteBufferSize"] = "0",
            ["WaitForDataBeforeAllocatingBuffer"] = "false",
            ["ApplicationScheduling"] = "threadpool",
            ["AcceptStrategy"] = "ReusePort",
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
        });

        Assert.Equal(3, options.WorkerCount);
        Assert.Equal(300, options.MaxWorkerCount);
        Assert.Equal(2, options.WorkerGroupCount);
        Assert.Equal(17, options.Backlog);
        Assert.False(options.NoDelay);
        Assert.Equal(1000, options.MaxReadBufferSize);
        Assert.Equal(0, options.MaxWriteBufferSize);
        Assert.False(options.WaitForDataBeforeAllocatingBuffer);
        Assert.Equal(ApplicationScheduling.ThreadPool, options.ApplicationScheduling);
        Assert.Equal(AcceptStrategy.ReusePort, options.AcceptStrategy);
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
    [InlineData("UnixSocketMode", "689", "'689' at 'Kestrel:Netpoll:UnixSocketMode'")]
    [InlineData("UnixSocketMode", "rw-", "Kestrel:Netpoll:UnixSocketMode")]
    [InlineData("WorkerCount", "many", "Kestrel:Netpoll:WorkerCount")]
    [InlineData("ApplicationScheduling", "Everywhere", "Kestrel:Netpoll:ApplicationScheduling")]
    [InlineData("WorkerCont", "3", "WorkerCont")]
    public void What_cannot_be_meant_is_named(string key, string value, string named)
    {
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => Configure(new() { [key] = value }));

        Assert.Contains(named, e.Message, StringComparison.Ordinal);
        Assert.Contains("Kestrel:Netpoll", e.Message, StringComparison.Ordinal);
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

    private static NetpollTransportOptions Configure(Dictionary<string, string?> section, Action<NetpollTransportOptions>? code = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel().UseNetpollTransport(code);
        builder.Configuration.AddInMemoryCollection(section.Select(static pair => KeyValuePair.Create($"Kestrel:Netpoll:{pair.Key}", pair.Value)));
        using ServiceProvider services = builder.Services.BuildServiceProvider();
        return services.GetRequiredService<IOptions<NetpollTransportOptions>>().Value;
    }
}
