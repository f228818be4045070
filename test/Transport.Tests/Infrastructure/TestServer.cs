using System.Net;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>What a <see cref="TestServer"/> differs in from the usual: one HTTP/1.1 endpoint on loopback, default options.</summary>
internal sealed class TestServerSetup
{
    internal RequestDelegate App { get; set; } = static context => context.Response.WriteAsync("Hello, World!");

    internal Action<IServiceCollection>? Services { get; set; }

    /// <summary>Middleware and endpoints in front of <see cref="App"/>.</summary>
    internal Action<WebApplication>? Pipeline { get; set; }

    internal Action<KestrelServerOptions>? Kestrel { get; set; }

    internal Action<ListenOptions>? Endpoint { get; set; }

    /// <summary>The application's; Kestrel reads its endpoints there, too, if there is anything.</summary>
    internal Dictionary<string, string?> Configuration { get; } = [];

    internal IPAddress Address { get; set; } = IPAddress.Loopback;

    internal int Port { get; set; }

    internal Action<NetpollTransportOptions>? Netpoll { get; set; }

    /// <summary>What is logged, if not everything from Debug up.</summary>
    internal Func<string, LogLevel, bool>? LogFilter { get; set; }

    internal SystemCalls? SystemCalls { get; set; }

    internal PlatformSupport? Platform { get; set; }

    internal TimeSpan ShutdownTimeout { get; set; } = Patience.Limit;
}

/// <summary>A web application on Kestrel and one of the transports, with its log and its memory pools in view.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TestServer(WebApplication app, LogCollector logs, TrackingMemoryPoolFactory pools)
    {
        _app = app;
        Logs = logs;
        Pools = pools;
    }

    internal LogCollector Logs { get; }

    internal TrackingMemoryPoolFactory Pools { get; }

    internal IServiceProvider Services => _app.Services;

    internal NetpollTransportFactory? Factory => Services.GetService<NetpollTransportFactory>();

    /// <summary>The first endpoint.</summary>
    internal IPEndPoint EndPoint { get; private set; } = new(IPAddress.None, 0);

    internal ICollection<string> Addresses => Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;

    internal static Task<TestServer> StartAsync(TransportKind kind, RequestDelegate app) =>
        StartAsync(kind, setup => setup.App = app);

    internal static async Task<TestServer> StartAsync(TransportKind kind, Action<TestServerSetup>? configure = null)
    {
        TestServer server = Create(kind, configure);
        try
        {
            await server._app.StartAsync().InTime();
            var first = new Uri(server.Addresses.First());
            server.EndPoint = first.HostNameType is UriHostNameType.IPv4 or UriHostNameType.IPv6
                ? new IPEndPoint(IPAddress.Parse(first.Host), first.Port)
                : new IPEndPoint(IPAddress.Loopback, first.Port);
            return server;
        }
        catch
        {
            await server._app.DisposeAsync();
            throw;
        }
    }

    internal Task<RawClient> ConnectAsync() => RawClient.ConnectAsync(EndPoint);

    internal async Task StopAsync(CancellationToken cancellationToken = default) => await _app.StopAsync(cancellationToken).InTime();

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync().InTime();
        await _app.DisposeAsync().InTime();
    }

    private static TestServer Create(TransportKind kind, Action<TestServerSetup>? configure)
    {
        var setup = new TestServerSetup();
        configure?.Invoke(setup);

        var logs = new LogCollector();
        var pools = new TrackingMemoryPoolFactory();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.SetMinimumLevel(LogLevel.Debug).AddProvider(logs);
        if (setup.LogFilter is { } filter)
        {
            builder.Logging.AddFilter((category, level) => filter(category ?? "", level));
        }

        builder.WebHost.UseKestrel(options =>
        {
            options.Listen(setup.Address, setup.Port, setup.Endpoint ?? (static _ => { }));
            if (setup.Configuration.Count != 0)
            {
                options.Configure(builder.Configuration.GetSection("Kestrel"), reloadOnChange: true);
            }

            setup.Kestrel?.Invoke(options);
        });
        builder.Configuration.AddInMemoryCollection(setup.Configuration);
        if (kind == TransportKind.Netpoll)
        {
            builder.WebHost.UseNetpollTransport(options =>
            {
                SuiteSettings.Begin(options);
                setup.Netpoll?.Invoke(options);
                SuiteSettings.Complete(options);
            });
            AddIfGiven(setup.Platform ?? (setup.SystemCalls is { } kernel ? new PlatformSupport(kernel) : null));
        }

        builder.Services.Replace(ServiceDescriptor.Singleton<IMemoryPoolFactory<byte>>(pools));
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = setup.ShutdownTimeout);

        setup.Services?.Invoke(builder.Services);

        WebApplication app = builder.Build();
        setup.Pipeline?.Invoke(app);
        app.Run(setup.App);
        return new TestServer(app, logs, pools);

        void AddIfGiven<T>(T? instance)
            where T : class
        {
            if (instance is not null)
            {
                builder.Services.AddSingleton(instance);
            }
        }
    }
}
