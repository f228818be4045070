using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Perf.Server;
using KestrelNetpoll.Transport;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

// The server that is measured; README.md in the directory above lists its options and routes.
args = ServerArguments.AddImpliedValues(args);
WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);

ServerArguments arguments;
try
{
    arguments = ServerArguments.Parse(args, builder.Configuration);
}
catch (FormatException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}

// A request costs more than it should as soon as any logger might want to know of it.
builder.Logging.ClearProviders();

// Handlers that block are the subject here: the end of a run does not wait for them.
builder.Services.Configure<HostOptions>(static host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));

builder.Configuration.AddInMemoryCollection(arguments.NetpollSettings);
builder.Services.Configure<SocketTransportOptions>(sockets => sockets.UnsafePreferInlineScheduling = arguments.IsInline);
if (arguments.IsNetpoll)
{
    builder.WebHost.UseNetpollTransport(netpoll => netpoll.ApplicationScheduling = arguments.Scheduling);
}

using X509Certificate2? certificate = arguments.TlsPort is null ? null : ServerCertificate.Create();
var listeners = new Listeners();
if (certificate is not null)
{
    builder.WebHost.UseKestrelHttpsConfiguration();
}

builder.WebHost.ConfigureKestrel(kestrel => listeners.Configure(kestrel, arguments, certificate));

await using WebApplication app = builder.Build();
var transportName = new TransportName(app.Services.GetRequiredService<IOptions<SocketTransportOptions>>());
using var routes = new Routes(transportName, listeners, WebSocketEcho.Build(app));
app.Run(routes.HandleAsync);

await app.StartAsync();
NetpollTransportFactory? factory = app.Services.GetService<NetpollTransportFactory>();
if (arguments.IsNetpoll && factory?.EndPoints.Count != listeners.Count)
{
    Console.Error.WriteLine($"Not every endpoint is on netpoll: {factory?.UnsupportedReason ?? "no reason is known"}.");
    return 1;
}

string transport = arguments.IsNetpoll
    ? string.Create(CultureInfo.InvariantCulture, $"netpoll scheduling={arguments.Scheduling} workers={factory?.WorkerCount}")
    : transportName.Sockets;
Console.WriteLine($"Ready: transport={transport} pid={Environment.ProcessId} {listeners}");

await app.WaitForShutdownAsync();
return 0;
