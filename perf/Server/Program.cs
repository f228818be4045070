using KestrelNetpoll.Perf.Server;

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

using var host = new MeasuredHost(arguments);
host.Configure(builder);
await using WebApplication app = builder.Build();
using var routes = new Routes(host.CreateReports(app), WebSocketEcho.Build(app));
app.Run(routes.HandleAsync);
return await host.RunAsync(app);
