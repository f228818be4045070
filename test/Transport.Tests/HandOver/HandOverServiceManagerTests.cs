using System.Globalization;
using KestrelNetpoll.Transport.Tests.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>What the service manager is told. Alone, since they set an environment variable of the process.</summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class HandOverServiceManagerTests : IDisposable
{
    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task It_is_told_of_the_new_process_and_not_that_the_service_stops()
    {
        using var manager = new ServiceManager();
        await using TestServer old = await _place.StartServingAsync();
        await using TestServer young = await _place.StartServingAsync();
        await old.DrainedAsync();
        await old.StopAsync();
        await young.StopAsync();

        Assert.StartsWith("RELOADING=1\nMONOTONIC_USEC=", await manager.ReceiveAsync(), StringComparison.Ordinal);
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"MAINPID={Environment.ProcessId}\nREADY=1"), await manager.ReceiveAsync());
        Assert.True(manager.KnowsAll);
    }

    [Fact]
    public async Task With_the_option_it_is_told_of_starts_and_of_the_last_stop()
    {
        using var manager = new ServiceManager();
        await using TestServer old = await _place.StartServingAsync(netpoll: static options => options.NotifySystemd = true);
        Assert.Equal("READY=1", await manager.ReceiveAsync());
        await using TestServer young = await _place.StartServingAsync(netpoll: static options => options.NotifySystemd = true);
        await old.DrainedAsync();
        await old.StopAsync();
        await young.StopAsync();

        List<string> told = [];
        while (!manager.KnowsAll)
        {
            told.Add((await manager.ReceiveAsync()).Split('\n')[0].Split('=')[0]);
        }

        // Who is first of the two that have READY depends on the threads.
        Assert.Equal("RELOADING", told[0]);
        Assert.Equal(["MAINPID", "READY"], told[1..3].Order());
        Assert.Equal("STOPPING", Assert.Single(told[3..]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_new_process_of_a_unit_that_has_nobody_to_tell_warns(bool isListenedTo)
    {
        await using TestServer old = await _place.StartServingAsync();
        using ServiceManager? manager = isListenedTo ? new ServiceManager() : null;
        Environment.SetEnvironmentVariable("INVOCATION_ID", "0123456789abcdef0123456789abcdef");
        try
        {
            await using TestServer young = await _place.StartServingAsync();

            Assert.Equal(
                isListenedTo ? [] : [LogLevel.Warning], young.Logs.Of(TransportKind.Netpoll, 146).Select(static entry => entry.Level));
            Assert.Empty(old.Logs.Of(TransportKind.Netpoll, 146));
        }
        finally
        {
            Environment.SetEnvironmentVariable("INVOCATION_ID", null);
        }
    }

    [Fact]
    public async Task A_reload_that_fails_is_over()
    {
        using var manager = new ServiceManager();
        await using TestServer old = await _place.StartServingAsync();
        using (RawPeer peer = await RawPeer.ConnectAsync(_place.Path))
        {
            peer.Send('H', "netpoll hand-over 1");
            Assert.Equal('W', (await peer.ReceiveAsync())?.Kind);
        }

        Assert.StartsWith("RELOADING=1\n", await manager.ReceiveAsync(), StringComparison.Ordinal);
        Assert.Equal("READY=1", await manager.ReceiveAsync());
    }
}
