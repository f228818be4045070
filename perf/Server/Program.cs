using System.Globalization;
using System.Net;
using KestrelNetpoll.Perf.Server;
using KestrelNetpoll.Transport;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

// The server that the scripts measure; README.md in the directory above lists its options and routes.
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
if (arguments.IsNetpoll)
{
    builder.WebHost.UseNetpollTransport(netpoll => netpoll.ApplicationScheduling = arguments.Scheduling);
}

List<(string Name, ListenOptions Options)> listeners = [];
builder.WebHost.ConfigureKestrel(kestrel =>
{
    void Listen(string name, int port, Action<ListenOptions> configure) => kestrel.Listen(IPAddress.Loopback, port, options =>
    {
        configure(options);
        listeners.Add((name, options));
    });

    string protocol = arguments.Protocols == HttpProtocols.Http2 ? "http2" : "http1";
    Listen(protocol, arguments.Port, options => options.Protocols = arguments.Protocols);
    if (arguments.Http1Port is { } http1Port)
    {
        Listen("http1", http1Port, static options => options.Protocols = HttpProtocols.Http1);
    }

    if (arguments.EchoPort is { } echoPort)
    {
        Listen("echo", echoPort, static options => options.UseConnectionHandler<EchoConnectionHandler>());
    }
});

await using WebApplication app = builder.Build();
using var routes = new Routes();
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
    : "sockets";
string ports = string.Join(' ', listeners.Select(static listener =>
    string.Create(CultureInfo.InvariantCulture, $"{listener.Name}={listener.Options.IPEndPoint?.Port}")));
Console.WriteLine($"Ready: transport={transport} pid={Environment.ProcessId} {ports}");

await app.WaitForShutdownAsync();
return 0;
