using KestrelNetpoll.Perf.Apps;
using KestrelNetpoll.Perf.Server;

// Applications as people write them; README.md in the directory above lists their routes.
args = ServerArguments.AddImpliedValues(args);
using var data = new AppData(args);
WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions
{
    Args = args,
    // Nobody's settings and files but our own.
    ContentRootPath = data.Root,
    WebRootPath = data.WebRoot,
});

ServerArguments arguments;
MeasuredApp measured;
try
{
    arguments = ServerArguments.Parse(args, builder.Configuration, AppCatalogue.Options);
    measured = AppCatalogue.Get(builder.Configuration["app"]);
}
catch (FormatException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}

using var host = new MeasuredHost(arguments);
host.Configure(builder);
measured.AddServices(builder);
await using WebApplication app = builder.Build();
measured.Map(app, data);
host.CreateReports(app).Map(app);
return await host.RunAsync(app);
