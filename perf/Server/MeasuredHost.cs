using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Perf.Server;

/// <summary>
/// What all measured programs have around their application: the transport, the endpoints, the routes that tell of them, and the line that
/// says what it really runs on.
/// </summary>
internal sealed class MeasuredHost(ServerArguments arguments) : IDisposable
{
    private const int NotOnNetpoll = 1;

    private readonly Listeners _listeners = new();
    private readonly X509Certificate2? _certificate = arguments.TlsPort is null ? null : ServerCertificate.Create();

    internal void Configure(WebApplicationBuilder builder)
    {
        // A request costs more than it should as soon as any logger might want to know of it.
        builder.Logging.ClearProviders();

        // Handlers that block are a subject here: the end of a run does not wait for them.
        builder.Services.Configure<HostOptions>(static host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));

        builder.Configuration.AddInMemoryCollection(arguments.NetpollSettings);
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.UnsafePreferInlineScheduling = arguments.IsInline);
        if (arguments.IsNetpoll)
        {
            foreach (string part in arguments.Without)
            {
                AppContext.SetSwitch("KestrelNetpoll." + part, false);
            }

            builder.WebHost.UseNetpollTransport(netpoll => netpoll.ApplicationScheduling = arguments.Scheduling);
        }

        if (_certificate is not null)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
        }

        builder.WebHost.ConfigureKestrel(kestrel => _listeners.Configure(kestrel, arguments, _certificate));
    }

    internal ReportRoutes CreateReports(WebApplication app) => new(NameOf(app), _listeners);

    /// <summary>Serves until it is told to end; returns what the process ends with.</summary>
    internal async Task<int> RunAsync(WebApplication app)
    {
        await app.StartAsync();
        NetpollTransportFactory? factory = app.Services.GetService<NetpollTransportFactory>();
        if (arguments.IsNetpoll && factory?.EndPoints.Count != _listeners.Count)
        {
            Console.Error.WriteLine($"Not every endpoint is on netpoll: {factory?.UnsupportedReason ?? "no reason is known"}.");
            return NotOnNetpoll;
        }

        string transport = arguments.IsNetpoll
            ? string.Create(CultureInfo.InvariantCulture, $"netpoll scheduling={arguments.Scheduling} workers={factory?.WorkerCount}")
            : NameOf(app).Sockets;
        Console.WriteLine($"Ready: transport={transport} pid={Environment.ProcessId} {_listeners}");
        await app.WaitForShutdownAsync();
        return 0;
    }

    public void Dispose() => _certificate?.Dispose();

    private static TransportName NameOf(WebApplication app) => new(app.Services.GetRequiredService<IOptions<SocketTransportOptions>>());
}
