using GrpcSample;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var commandLine = new CommandLine(
    "Grpc",
    new Option("call", "ADDRESS", "call a server that runs, such as http://localhost:5000, instead of being one") { IsAddress = true },
    new Option("name", "NAME", "with --call: who is greeted (World)"),
    Option.Urls,
    Option.Environment,
    Option.Setting);
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

if (commandLine["call"] is { } address)
{
    return await GreeterCaller.CallAsync(address, commandLine["name"] ?? "World");
}

WebApplicationBuilder builder = WebApplication.CreateBuilder(commandLine.Configuration);
builder.WebHost.UseNetpollTransport();
builder.Logging.SetMinimumLevel(LogLevel.Warning);

// Without TLS nothing tells which version of HTTP a client means.
builder.WebHost.ConfigureKestrel(static kestrel => kestrel.ConfigureEndpointDefaults(
    static endpoint => endpoint.Protocols = HttpProtocols.Http2));
builder.Services.AddGrpc();

WebApplication app = builder.Build();
app.MapGrpcService<GreeterService>();
app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine(app.DescribeTransport()));
app.Run();
return 0;
