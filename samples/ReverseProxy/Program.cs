using ReverseProxy;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.LoadBalancing;

var commandLine = new CommandLine(
    "ReverseProxy",
    new Option("upstreams", "ADDRESS[;ADDRESS...]", "the servers behind the proxy (two small ones of this program)")
    {
        IsAddress = true,
    },
    Option.Urls,
    Option.Environment,
    Option.Setting);
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

string[] addresses = commandLine["upstreams"] is { } given
    ? [.. given.Split(';').Distinct()]
    : [await Upstream.StartAsync("A"), await Upstream.StartAsync("B")];

WebApplicationBuilder builder = WebApplication.CreateBuilder(commandLine.Configuration);
builder.WebHost.UseNetpollTransport();
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddReverseProxy().LoadFromMemory(
    [new RouteConfig { RouteId = "all", ClusterId = "upstreams", Match = new RouteMatch { Path = "{**rest}" } }],
    [
        new ClusterConfig
        {
            ClusterId = "upstreams",
            LoadBalancingPolicy = LoadBalancingPolicies.RoundRobin,
            Destinations = addresses.ToDictionary(static address => address, static address => new DestinationConfig { Address = address }),
        },
    ]);

WebApplication app = builder.Build();
app.MapReverseProxy();
app.Lifetime.ApplicationStarted.Register(
    () => Console.WriteLine($"{app.DescribeTransport()}, for {string.Join(" and ", addresses)}"));
app.Run();
return 0;
