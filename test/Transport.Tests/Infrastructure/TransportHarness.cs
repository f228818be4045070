using System.Net;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>The transport without Kestrel: a factory with one listener on loopback.</summary>
internal sealed class TransportHarness : IAsyncDisposable
{
    private TransportHarness(NetpollTransportFactory factory, IConnectionListener listener, LogCollector logs, TrackingMemoryPoolFactory pools)
    {
        Factory = factory;
        Listener = listener;
        Logs = logs;
        Pools = pools;
    }

    internal NetpollTransportFactory Factory { get; }

    internal IConnectionListener Listener { get; }

    internal LogCollector Logs { get; }

    internal TrackingMemoryPoolFactory Pools { get; }

    internal static async Task<TransportHarness> StartAsync(SystemCalls? systemCalls = null, NetpollTransportOptions? options = null, EndPoint? endPoint = null)
    {
        systemCalls ??= SystemCalls.Instance;
        if (options is null)
        {
            options = new NetpollTransportOptions();
            SuiteSettings.Begin(options);
            options.WorkerCount = SuiteSettings.TwoWorkersForEachGroup;
            SuiteSettings.Complete(options);
        }
        else if (options.Backend == NetpollBackend.Auto)
        {
            options.Backend = SuiteSettings.Backend;
        }

        var logs = new LogCollector();
        var pools = new TrackingMemoryPoolFactory();
        var factory = new NetpollTransportFactory(
            Options.Create(options), logs, pools, new PlatformSupport(systemCalls));
        try
        {
            return new TransportHarness(factory, await factory.BindAsync(endPoint ?? new IPEndPoint(IPAddress.Loopback, 0)), logs, pools);
        }
        catch
        {
            await factory.DisposeAsync();
            throw;
        }
    }

    // An accept continues on a worker, which the tests are not to hold.
    internal async Task<NetpollConnection> AcceptAsync()
    {
        NetpollConnection connection = Assert.IsType<NetpollConnection>(await Listener.AcceptAsync().InTime());
        await Task.Yield();
        return connection;
    }

    internal Task<RawClient> ConnectClientAsync() => RawClient.ConnectAsync(Listener.EndPoint);

    internal async Task<(NetpollConnection Server, RawClient Client)> ConnectAsync()
    {
        RawClient client = await ConnectClientAsync();
        return (await AcceptAsync(), client);
    }

    public async ValueTask DisposeAsync() => await Factory.DisposeAsync().InTime();
}
